"""The HTTP API of rotations: start, list, look, retry, abort."""

from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode

import azure.durable_functions as df
import azure.functions as func

from keyturn.access.caller import Caller
from keyturn.http import parse
from keyturn.ids import ROTATIONS, run_link
from keyturn.preflight.checks import require_waivable
from keyturn.resources import Resources
from keyturn.rotation.start import StartRequest, start
from keyturn.rotation.status import accepted, report, status, summary
from keyturn.runs.commands import CommandRequest, record_command
from orchestrators.waiting import COMMAND_EVENT
from triggers.access import Work, admitted
from triggers.http import RETRY_AFTER_SECONDS, handle, json_response, limit_of, read_json
from triggers.lost_runs import workflows_of
from triggers.workflow import ensure_started, wake

bp = df.Blueprint()


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

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        keyring = resources.settings.keyring(req.params.get("keyring")).name
        limit = limit_of(req)
        records = await resources.run_store.newest(keyring, before=req.params.get("before"), limit=limit)
        query = {"keyring": keyring, "before": records[-1].run_id, "limit": limit} if len(records) == limit else {}
        following = f"{ROTATIONS}?{urlencode(query)}" if query else None
        return json_response({"rotations": [summary(record).to_payload() for record in records], "next": following})

    return await handle(req, admitted(req, "list_rotations", work))


@bp.route(route="rotations/{rotation_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_rotation(req: func.HttpRequest) -> func.HttpResponse:
    """Tell where a rotation stands."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        record = await resources.run_store.read(req.route_params["rotation_id"])
        headers = {} if record.ended else {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(status(record), headers=headers)

    return await handle(req, admitted(req, "get_rotation", work))


@bp.route(route="rotations/{rotation_id}/report", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_report(req: func.HttpRequest) -> func.HttpResponse:
    """Return everything that is known about a rotation."""

    async def work(resources: Resources, _caller: Caller) -> func.HttpResponse:
        record = await resources.run_store.read(req.route_params["rotation_id"])
        return json_response(report(record))

    return await handle(req, admitted(req, "get_report", work))


@bp.route(route="rotations/{rotation_id}/retry", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def retry_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Tell a rotation that needs attention to try again."""
    return await handle(req, admitted(req, "retry_rotation", _command(req, client, "retry")))


@bp.route(route="rotations/{rotation_id}/abort", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def abort_rotation(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Tell a rotation to end."""
    return await handle(req, admitted(req, "abort_rotation", _command(req, client, "abort")))


def _command(req: func.HttpRequest, client: df.DurableFunctionsClient, command: Literal["retry", "abort"]) -> Work:
    async def work(resources: Resources, caller: Caller) -> func.HttpResponse:
        request = parse(CommandRequest, read_json(req, default={}))
        record = await record_command(
            resources.run_store,
            req.route_params["rotation_id"],
            command,
            by=caller.identity(request.requested_by).name,
            now=datetime.now(UTC),
        )
        await wake(client, record, COMMAND_EVENT)
        headers = {"Location": run_link(record.run_id), "Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(status(record), status=202, headers=headers)

    return work
