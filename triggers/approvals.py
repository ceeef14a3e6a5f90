"""The approval webhook: a signed decision on exactly one evidence digest."""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.resources import resources
from keyturn.rotation.status import status
from keyturn.rotation.webhook import submit_decision
from orchestrators.waiting import DECISION_EVENT
from triggers.http import handle, json_response, read_body, sender_of
from triggers.workflow import wake

bp = df.Blueprint()


@bp.route(route="approvals", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def decide_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Take a decision."""

    async def work() -> func.HttpResponse:
        opened = await resources()
        record = await submit_decision(
            opened.run_store,
            dict(req.headers),
            read_body(req),
            secrets=opened.settings.approval_secrets(),
            sender=sender_of(req),
            wake=lambda decided: wake(client, decided, DECISION_EVENT),
            now=datetime.now(UTC),
        )
        return json_response(status(record))

    return await handle(req, work)
