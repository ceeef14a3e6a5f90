"""Diagnosis over HTTP: a DEK, a document, what names nothing or is named by nothing, a keyring; a row's repair."""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.diagnosis.dek import diagnose_dek
from keyturn.diagnosis.document import diagnose_document
from keyturn.diagnosis.models import require_id
from keyturn.diagnosis.orphans import OrphanRequest, scan_orphans
from keyturn.diagnosis.repair import RepairRequest, repair_row
from keyturn.diagnosis.verification import VerificationRequest, verify_part
from keyturn.http import parse
from keyturn.keyring_clients import KeyringClients
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import handle, json_response, read_json

bp = df.Blueprint()


@bp.route(route="deks/{dek_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_dek(req: func.HttpRequest) -> func.HttpResponse:
    """Tell whether a DEK opens, and what to do if it does not."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        dek_id = require_id("dekId", req.route_params["dek_id"])
        return json_response(await diagnose_dek(_keyring(resources, req), dek_id))

    return await handle(req, admitted(req, "get_dek", work))


@bp.route(route="deks/{dek_id}/repair", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def repair_dek(req: func.HttpRequest) -> func.HttpResponse:
    """Put a row back on its previous wrap, where that opens and its wrap does not."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(RepairRequest, read_json(req))
        dek_id, by = require_id("dekId", req.route_params["dek_id"]), caller.identity(request.requested_by).name
        keyring, now = resources.keyring(request.keyring), datetime.now(UTC)
        runs = resources.every_run
        return json_response(await repair_row(runs, keyring, dek_id, by=by, reason=request.reason, now=now))

    return await handle(req, admitted(req, "repair_dek", work))


@bp.route(route="documents/diagnosis", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_document_diagnosis(req: func.HttpRequest) -> func.HttpResponse:
    """Tell of every encrypted field of a document whether it opens, and what to do if it does not."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        asked = req.params
        found = await diagnose_document(
            _keyring(resources, req), asked.get("container"), asked.get("id"), asked.get("partition")
        )
        return json_response(found)

    return await handle(req, admitted(req, "get_document_diagnosis", work))


@bp.route(route="orphans", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_orphans(req: func.HttpRequest) -> func.HttpResponse:
    """Look at some more documents or rows, from where the token says."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        asked = {name: req.params[name] for name in ("kind", "minAge", "token") if name in req.params}
        request = parse(OrphanRequest, asked)
        return json_response(await scan_orphans(_keyring(resources, req), request, now=datetime.now(UTC)))

    return await handle(req, admitted(req, "get_orphans", work))


@bp.route(route="verifications", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def verify_keyring(req: func.HttpRequest) -> func.HttpResponse:
    """Verify a part of a keyring against the store, the vault and the backend."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        request = parse(VerificationRequest, read_json(req))
        found = await verify_part(
            _keyring(resources, req),
            resources.run_store,
            resources.settings.policy,
            request,
            credential=resources.credential,
            now=datetime.now(UTC),
        )
        return json_response(found)

    return await handle(req, admitted(req, "verify_keyring", work))


def _keyring(resources: Resources, req: func.HttpRequest) -> KeyringClients:
    return resources.keyring(req.params.get("keyring"))
