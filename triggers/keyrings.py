"""The HTTP API of keyrings: how each stands."""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import handle, json_response

bp = df.Blueprint()


@bp.route(route="keyrings", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_keyrings(req: func.HttpRequest) -> func.HttpResponse:
    """List every keyring with its last rotation, its next occurrence and whether it is overdue or has drifted."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        found = await resources.keyring_statuses(datetime.now(UTC))
        return json_response({"keyrings": [status.to_payload() for status in found]})

    return await handle(req, admitted(req, "list_keyrings", work))
