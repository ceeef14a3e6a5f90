"""The HTTP API of keyrings: how each stands."""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.resources import Resources
from keyturn.rotation.keyrings import look
from triggers.access import admitted
from triggers.http import handle, json_response

bp = df.Blueprint()


@bp.route(route="keyrings", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_keyrings(req: func.HttpRequest) -> func.HttpResponse:
    """List every keyring with its last rotation, its next occurrence and whether it is overdue."""

    async def work(opened: Resources, _caller: Caller) -> func.HttpResponse:
        found = [await look(opened, keyring.name, datetime.now(UTC)) for keyring in opened.settings.keyrings]
        return json_response({"keyrings": [state.to_payload() for state in found]})

    return await handle(req, admitted(req, "list_keyrings", work))
