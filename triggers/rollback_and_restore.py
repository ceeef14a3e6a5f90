"""The HTTP API of the ways back: roll a rotation back, restore rows that came from a backup. Both are migrations."""

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.approval.deciders import require_decider
from keyturn.contracts.migrations import Restore
from keyturn.http import parse
from keyturn.migrations.requests import MigrationRequest, RollbackRequest
from keyturn.resources import Resources
from triggers.access import admitted
from triggers.http import handle, read_json
from triggers.migrations import accepted, begin
from triggers.orders import roll_back

bp = df.Blueprint()


@bp.route(route="rotations/{rotation_id}/rollback", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def roll_back_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Roll a rotation back; one that needs attention is ended first."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request, key = parse(RollbackRequest, read_json(req)), req.headers.get("idempotency-key")
        run_id = req.route_params["rotation_id"]
        return accepted(await roll_back(client, resources, caller, run_id, request, key))

    return await handle(req, admitted(req, "roll_back_rotation", work))


@bp.route(route="restores", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def start_restore(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start a restore."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(MigrationRequest, read_json(req))
        if not request.dry_run:
            require_decider(resources.settings, caller.identity(request.requested_by))
        return await begin(req, client, resources, caller, request, Restore())

    return await handle(req, admitted(req, "start_restore", work))
