"""The host's admin endpoint: fire a timer now, with the master key."""

import asyncio
import json

from aiohttp import web

from local.functions_host.keys import Keys
from local.functions_host.timer_triggers import TimerTriggers
from local.functions_host.worker import Worker


class Admin:
    """Answers ``POST /admin/functions/{name}``."""

    def __init__(self, worker: Worker, keys: Keys, timers: TimerTriggers) -> None:
        self._functions = {function.name: function for function in worker.functions}
        self._keys = keys
        self._timers = timers
        self._fired: set[asyncio.Task[None]] = set()

    def add_routes(self, app: web.Application) -> None:
        """Serve the endpoint, and 404 for the rest of ``/admin``."""
        app.router.add_post("/admin/functions/{name}", self._fire)
        app.router.add_route("*", "/admin{rest:.*}", self._unserved)

    async def _unserved(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.Response(status=404)

    async def _fire(self, request: web.Request) -> web.Response:
        """Start the function and answer 202 before it has run, as the real host does."""
        self._check(request)
        function = self._functions.get(request.match_info["name"])
        if function is None:
            return web.Response(status=404)
        if function.trigger_type != "timerTrigger":
            return _bad_request(f"the local host fires timers only; {function.name!r} has a {function.trigger_type}")
        try:
            body = await request.json()
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("input", ""), str):
            return _bad_request('the body must be JSON of the form {"input": "..."}; a timer ignores its input')
        task = asyncio.create_task(self._timers.fire(function, past_due=False))
        self._fired.add(task)
        task.add_done_callback(self._fired.discard)
        return web.Response(status=202)

    def _check(self, request: web.Request) -> None:
        if not self._keys.opens_admin(request):
            raise web.HTTPUnauthorized


def _bad_request(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)
