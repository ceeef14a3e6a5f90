"""Backups of the MEK for operators outside the network: listed, and handed out as the vault has encrypted them."""

import base64
import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.api.operations import KeyBackupList
from keyturn.audit.events import AuditEvent, KeyBackupHandedOut
from keyturn.errors import ForbiddenError, UnknownRotationError
from keyturn.ids import RunKind, keyring_of
from keyturn.key_vault.backups import KeyBackupContent
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import handle, json_response

bp = df.Blueprint()

_log = logging.getLogger(__name__)


@bp.route(route="key-backups", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_key_backups(req: func.HttpRequest) -> func.HttpResponse:
    """List a keyring's backups, newest first; no blob is among the answer."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        found = await resources.keyring(req.params.get("keyring")).key_backups.listed()
        return json_response(KeyBackupList(key_backups=found))

    return await handle(req, admitted(req, "list_key_backups", work))


@bp.route(route="rotations/{rotation_id}/key-backup", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def hand_out_key_backup(req: func.HttpRequest) -> func.HttpResponse:
    """Return the backup that was taken before a rotation, to a person who is signed in and named in the audit."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        if caller.principal is None:
            hint = "ask with KEYTURN_ACCESS=entra, or on a machine in the network: keyturn key-backup list"
            raise ForbiddenError("a key backup is handed to callers who are signed in only", hint=hint)
        run_id = req.route_params["rotation_id"]
        backups = resources.keyring(keyring_of(run_id, RunKind.ROTATION)).key_backups
        if (backup := await backups.find(run_id)) is None:
            hint = "see those that there are: keyturn key-backup list --from-app"
            raise UnknownRotationError("no backup of this rotation is kept", hint=hint, rotationId=run_id)
        blob = await backups.blob(backup)
        # In the audit before it leaves: where that fails, nothing leaves. Once a day and person, so that a chain does
        # not grow without end; every time in the log.
        by, now = caller.principal.name, datetime.now(UTC)
        handed_out = KeyBackupHandedOut(by=by, sha256=backup.sha256)
        event = AuditEvent(key=f"key-backup:{by}:{now:%Y%m%d}", at=now, data=handed_out)
        await resources.every_run.audit.append(run_id, [event])
        _log.warning("the key backup of %s is handed to %s", run_id, by)
        encoded = base64.b64encode(blob).decode()
        content = KeyBackupContent(run_id=run_id, sha256=backup.sha256, blob=encoded)
        return json_response(content, headers={"Cache-Control": "no-store"})

    return await handle(req, admitted(req, "hand_out_key_backup", work))
