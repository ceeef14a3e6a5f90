"""The HTTP API of the ways back: roll a rotation back, restore rows that came from a backup. Both are migrations."""

import asyncio
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.approval.deciders import require_decider
from keyturn.contracts.migrations import Restore
from keyturn.contracts.states import State
from keyturn.http import parse
from keyturn.migrations.requests import MigrationRequest, RollbackRequest, require_not_overtaken, rollback_work
from keyturn.resources import Resources
from keyturn.runs.commands import record_command
from keyturn.runs.records import RotationRecord
from orchestrators.waiting import COMMAND_EVENT
from triggers.access import admitted
from triggers.http import handle, read_json
from triggers.migrations import begin
from triggers.workflow import wake

bp = df.Blueprint()

# A rotation that waits for attention ends within a second or two of being told to.
LOOKS = 40
WAIT_SECONDS = 0.5


@bp.route(route="rotations/{rotation_id}/rollback", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def roll_back_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Roll a rotation back; one that needs attention is ended first."""

    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(RollbackRequest, read_json(req))
        by = caller.identity(request.requested_by).name
        record = await resources.run_store.read(req.route_params["rotation_id"])
        wanted = rollback_work(record)
        await require_not_overtaken(record, resources.run_store, resources.migrations)
        if wanted.approval and not request.dry_run:
            require_decider(resources.settings, caller.identity(request.requested_by))
        if record.state is State.NEEDS_ATTENTION and not request.dry_run:
            await _end(client, resources, record, by)
        return await begin(req, client, resources, caller, request.of(record.keyring), wanted)

    return await handle(req, admitted(req, "roll_back_rotation", work))


async def _end(client: df.DurableFunctionsClient, resources: Resources, record: RotationRecord, by: str) -> None:
    """Abort the rotation and wait until it has ended; where it has not by then, it still holds its keyring."""
    await record_command(resources.run_store, record.run_id, "abort", by=by, now=datetime.now(UTC))
    await wake(client, record, COMMAND_EVENT)
    for _ in range(LOOKS):
        if (await resources.run_store.read(record.run_id)).ended:
            return
        await asyncio.sleep(WAIT_SECONDS)


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
