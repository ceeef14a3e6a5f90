"""The approval webhook: a signed decision on exactly one evidence digest.

Open to callers without a function key: approval systems send none, and the signature is what a message is known by.
"""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.approval.webhook import submit_decision
from keyturn.errors import InvariantError
from keyturn.migrations.status import MigrationStatus, migration_status
from keyturn.resources import process_resources
from keyturn.rotation.status import Status, status
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from orchestrators.waiting import DECISION_EVENT
from triggers.http import handle, json_response, read_body, sender_of
from triggers.workflow import wake

bp = df.Blueprint()


@bp.route(route="approvals", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.durable_client_input(client_name="client")
async def decide_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Take a decision."""

    async def work() -> func.HttpResponse:
        resources = await process_resources()
        record = await submit_decision(
            resources.every_run,
            dict(req.headers),
            read_body(req),
            secrets=resources.settings.approval_secrets(),
            sign_in=resources.settings.keyturn_access == "entra",
            sender=sender_of(req),
            wake=lambda decided: wake(client, decided, DECISION_EVENT),
            now=datetime.now(UTC),
        )
        return json_response(_status(record))

    return await handle(req, work)


def _status(record: RunRecord) -> Status | MigrationStatus:
    if isinstance(record, MigrationRecord):
        return migration_status(record)
    if isinstance(record, RotationRecord):
        return status(record)
    raise InvariantError("a run of an unknown kind was decided on", kind=record.kind)
