"""The HTTP API of rotations: start, list, look, retry, abort, take a retirement back."""

from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.contracts.states import State
from keyturn.contracts.steps import NotifyInput
from keyturn.http import parse
from keyturn.ids import ROTATIONS, RunKind, keyring_of, run_link
from keyturn.preflight.checks import require_waivable
from keyturn.resources import Resources
from keyturn.rotation.retirement import order_reinstatement
from keyturn.rotation.start import StartRequest, start
from keyturn.rotation.status import accepted, report, status, summary
from keyturn.runs.commands import CommandRequest
from orchestrators.waiting import COMMAND_EVENT
from triggers.access import admitted
from triggers.http import RETRY_AFTER_SECONDS, handle, json_response, read_json
from triggers.lost_runs import workflows_of
from triggers.run_routes import RunRoutes
from triggers.workflow import ensure_started, wake

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
        request = parse(StartRequest, read_json(req))
        require_waivable(waiver.check for waiver in request.waivers)
        requester = caller.identity(request.requested_by)
        for number, waiver in enumerate(request.waivers):
            caller.require_own(waiver.by, f"waivers.{number}.by")
        started = await start(
            resources.run_store,
            request,
            keyring=resources.settings.keyring(request.keyring).name,
            requested_by=requester.name,
            requested_by_id=requester.object_id,
            trigger="http",
            policy=resources.settings.policy,
            workflows=workflows_of(client, resources),
            starts_per_day=resources.settings.keyturn_starts_per_day,
            now=datetime.now(UTC),
            idempotency_key=req.headers.get("idempotency-key"),
        )
        await ensure_started(client, resources.every_run, started.record)
        headers = {"Location": run_link(started.record.run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(accepted(started.record), status=202, headers=headers)

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
        run_id, runs, now = req.route_params["rotation_id"], resources.run_store, datetime.now(UTC)
        versions = resources.keyring(keyring_of(run_id, RunKind.ROTATION)).versions
        record = await order_reinstatement(runs, versions, run_id, by=by, now=now)
        if record.state is State.COMPLETED:
            told = NotifyInput(run=record.ref, key="ordered:reinstated", event="reinstated", detail=f"{by} ordered it")
            await resources.notifier.tell(told, now)
        else:
            await wake(client, record, COMMAND_EVENT)
        headers = {"Location": run_link(run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(status(record), status=202, headers=headers)

    return await handle(req, admitted(req, "reinstate_rotation", work))
