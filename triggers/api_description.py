"""The API's own description, for people and for tools."""

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.api.openapi import description
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import handle, json_response

bp = df.Blueprint()


@bp.route(route="openapi.json", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def describe_api(req: func.HttpRequest) -> func.HttpResponse:
    """Return the OpenAPI description."""

    async def work(_resources: Resources, _caller: Caller) -> func.HttpResponse:
        return json_response(description())

    return await handle(req, admitted(req, "describe_api", work))
