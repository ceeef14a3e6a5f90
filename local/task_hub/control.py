"""The task hub's control endpoint: health, instances and their histories, and a fault for tests.

``POST /_control/activities/{name}/give_up`` takes the activities of this name from the workers that hold them, without
telling them, and hands them out again: to another worker where there is one. The answer counts them.
"""

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

    async def give_up(request: web.Request) -> web.Response:
        return web.json_response({"handedOutAgain": hub.give_up(request.match_info["name"])})

    app = web.Application()
    add_health(app, "task_hub")
    app.router.add_get(f"{CONTROL_PREFIX}instances", instances)
    app.router.add_get(f"{CONTROL_PREFIX}instances/{{id}}/history", history)
    app.router.add_post(f"{CONTROL_PREFIX}activities/{{name}}/give_up", give_up)
    return app
