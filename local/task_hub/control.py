"""The task hub's control endpoint: health, the list of instances and their histories, for tests to inspect."""

from typing import Any

from aiohttp import web

from local.common.faults import CONTROL_PREFIX
from local.common.serve import add_health
from local.task_hub.backend import TaskHub


def control_app(hub: TaskHub) -> web.Application:
    """Return the application that answers for the hub."""

    async def instances(_request: web.Request) -> web.Response:
        return web.json_response({"instanceIds": hub.instance_ids()})

    async def history(request: web.Request) -> web.Response:
        found: dict[str, Any] | None = hub.history(request.match_info["id"])
        if found is None:
            return web.json_response({"error": f"no instance {request.match_info['id']}"}, status=404)
        return web.json_response(found)

    app = web.Application()
    add_health(app, "task_hub")
    app.router.add_get(f"{CONTROL_PREFIX}instances", instances)
    app.router.add_get(f"{CONTROL_PREFIX}instances/{{id}}/history", history)
    return app
