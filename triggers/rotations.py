"""The HTTP API of rotations: start, list, look, retry, abort, take a retirement back."""

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.http import parse
from keyturn.ids import ROTATIONS, run_link
from keyturn.resources import Resources
from keyturn.rotation.start import StartRequest
from keyturn.rotation.status import accepted, report, status, summary
from keyturn.runs.commands import CommandRequest
from triggers.access import admitted
from triggers.http import RETRY_AFTER_SECONDS, handle, json_response, read_json
from triggers.orders import begin_rotation, reinstate
from triggers.run_routes import RunRoutes

bp = df.Blueprint()

ROUTES = RunRoutes(
    store=lambda resources: resources.run_store,
    collection=ROTATIONS,
    plural="rotations",
    parameter="rotation_id",
    summary=summary,
    status=status,
    report=report,
)


@bp.route(route="rotations", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def start_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start a rotation."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request, key = parse(StartRequest, read_json(req)), req.headers.get("idempotency-key")
        record = await begin_rotation(client, resources, caller, request, key)
        headers = {"Location": run_link(record.run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(accepted(record), status=202, headers=headers)

    return await handle(req, admitted(req, "start_rotation", work))


@bp.route(route="rotations", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_rotations(req: func.HttpRequest) -> func.HttpResponse:
    """List a keyring's rotations, newest first."""
    return await handle(req, admitted(req, "list_rotations", ROUTES.list(req)))


@bp.route(route="rotations/{rotation_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_rotation(req: func.HttpRequest) -> func.HttpResponse:
    """Tell where a rotation stands."""
    return await handle(req, admitted(req, "get_rotation", ROUTES.get(req)))


@bp.route(route="rotations/{rotation_id}/report", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_report(req: func.HttpRequest) -> func.HttpResponse:
    """Return everything that is known about a rotation."""
    return await handle(req, admitted(req, "get_report", ROUTES.whole(req)))


@bp.route(route="rotations/{rotation_id}/retry", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def retry_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Tell a rotation that needs attention to try again."""
    return await handle(req, admitted(req, "retry_rotation", ROUTES.command(req, client, "retry")))


@bp.route(route="rotations/{rotation_id}/abort", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def abort_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Tell a rotation to end."""
    return await handle(req, admitted(req, "abort_rotation", ROUTES.command(req, client, "abort")))


@bp.route(route="rotations/{rotation_id}/reinstate", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def reinstate_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Enable again what a rotation has retired; its workflow, where there still is one, ends it and tells people."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        by = caller.identity(parse(CommandRequest, read_json(req, default={})).requested_by).name
        run_id = req.route_params["rotation_id"]
        record = await reinstate(client, resources, run_id, by)
        headers = {"Location": run_link(run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(status(record), status=202, headers=headers)

    return await handle(req, admitted(req, "reinstate_rotation", work))
