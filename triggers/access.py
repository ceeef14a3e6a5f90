"""Who may use a route: the caller is identified and their role looked at before any work begins."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import azure.functions as func

from keyturn.access.caller import Caller, identify
from keyturn.access.identity import HEADER
from keyturn.audit.events import Attempt
from keyturn.resources import Resources, process_resources
from keyturn.runs.audit import audit_refusals

type Work = Callable[[Resources, Caller], Awaitable[func.HttpResponse]]

# Routes whose refusal belongs into the audit of the run that they name.
_ATTEMPTS: Mapping[str, Attempt] = {
    "retry_rotation": "retry",
    "abort_rotation": "abort",
    "reinstate_rotation": "reinstate",
    "hand_out_key_backup": "key_backup",
    "show_approval": "decide",
    "decide_approval": "decide",
    "show_restore_approval": "decide",
    "decide_restore_approval": "decide",
}


def admitted(request: func.HttpRequest, route: str, work: Work) -> Callable[[], Awaitable[func.HttpResponse]]:
    """Return the work for callers who may use the route; for others it raises what ``identify`` or a role does."""

    async def enter() -> func.HttpResponse:
        resources = await process_resources()
        caller = identify(resources.settings, request.headers.get(HEADER))
        by = caller.principal.name if caller.principal is not None else None
        async with contextlib.AsyncExitStack() as told:
            if (attempt := _ATTEMPTS.get(route)) is not None:
                run_id = request.route_params["rotation_id"]
                refusals = audit_refusals(resources.every_run, run_id, attempt, by=by, now=datetime.now(UTC))
                await told.enter_async_context(refusals)
            caller.require_role(route)
        return await work(resources, caller)

    return enter
