"""Composes the host: the worker, what triggers its functions, and the server."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from local.common.faults import CONTROL_PREFIX, Faults
from local.common.serve import serve
from local.functions_host.admin import Admin
from local.functions_host.durable_binding import WEBHOOK_PATH, ClientBinding
from local.functions_host.durable_triggers import DurableTriggers
from local.functions_host.durable_webhooks import DurableWebhooks
from local.functions_host.durable_work import DurableWork
from local.functions_host.http_triggers import ANSWER_SECONDS, HttpTriggers
from local.functions_host.hub_client import connect
from local.functions_host.keys import Keys
from local.functions_host.routing import Router
from local.functions_host.settings import body_limit, load_settings
from local.functions_host.sign_in import SignIn
from local.functions_host.timeouts import Watchdog
from local.functions_host.timer_triggers import TimerTriggers
from local.functions_host.worker import Worker


@dataclass(frozen=True)
class Options:
    """What the command line gives; ``task_hub`` is host:port of its gRPC service."""

    state: Path
    app: Path
    port: int
    task_hub: str
    keys: dict[str, str | None]
    answer_seconds: float = ANSWER_SECONDS  # of an HTTP function
    timers: bool = True  # of several instances of an app, Azure has one run its timers
    sign_in: Path | None = None  # public key of the identity whose tokens sign callers in; None: no one needs to


async def run_host(options: Options) -> None:
    """Index the app, then serve it until SIGTERM or SIGINT.

    Raises:
        SettingsError, IndexingError, UnservedBindingError, RouteError, ScheduleError: the app cannot be hosted.
    """
    os.environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{options.port}")  # set for every app in Azure
    sign_in = SignIn(options.sign_in.read_bytes()) if options.sign_in is not None else None
    if sign_in is not None:
        os.environ["WEBSITE_AUTH_ENABLED"] = "True"
    settings = load_settings(options.app)
    keys = Keys.load(options.state / "keys.json", options.keys)
    faults = Faults()
    worker = await Worker.start(options.app, faults, Watchdog(settings.function_timeout))
    base_url = f"http://localhost:{options.port}"
    client = ClientBinding(settings, keys, base_url=base_url, task_hub=options.task_hub)
    router = Router(worker.functions, settings.route_prefix)
    channel, stub = connect(options.task_hub)
    durable = DurableTriggers(stub, DurableWork(worker, stub, client, faults), settings.durable)
    timers = TimerTriggers(worker, client, options.state / "timers.json")

    limit = body_limit()
    app = web.Application(
        client_max_size=limit,
        middlewares=[faults.middleware(lambda request: _operation(request, router))],
    )
    _add_health(app, durable)
    faults.add_routes(app)
    Admin(worker, keys, timers).add_routes(app)
    DurableWebhooks(stub, keys).add_routes(app)
    if sign_in is not None:
        sign_in.add_routes(app)
    functions = HttpTriggers(worker, router, keys, client, sign_in, limit, seconds=options.answer_seconds)
    app.router.add_route("*", "/{path:.*}", functions.handle)
    async with channel:
        running = [asyncio.create_task(durable.run())]
        if options.timers:
            running.append(asyncio.create_task(timers.run()))
        try:
            await _serve_while(running, app, options.port)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _serve_while(running: list[asyncio.Task[None]], app: web.Application, port: int) -> None:
    """Serve until asked to stop, or until one of the parts that must run for ever fails."""
    server = asyncio.create_task(serve(app, port=port))
    try:
        done, _ = await asyncio.wait([server, *running], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


def _operation(request: web.Request, router: Router) -> str:
    """Name a request for the fault rules: its function, or the host's endpoint."""
    if request.path.startswith(WEBHOOK_PATH):
        return "durabletask"
    if request.path.startswith("/admin/"):
        return "admin"
    found = router.match(request.method, request.rel_url.raw_path)
    return found[0].name if found is not None else "not_found"


def _add_health(app: web.Application, durable: DurableTriggers) -> None:
    async def health(_request: web.Request) -> web.Response:
        state = {"service": "functions_host", "taskHub": "connected" if durable.connected else "away"}
        return web.json_response(state, status=200 if durable.connected else 503)

    app.router.add_get(f"{CONTROL_PREFIX}health", health)
