"""How a local service runs: loopback only, one port, an optional certificate, ends cleanly on SIGTERM and SIGINT."""

import asyncio
import contextlib
import logging
import signal
import ssl
from pathlib import Path

from aiohttp import web

from local.common.faults import CONTROL_PREFIX

LOOPBACK = "127.0.0.1"


def server_tls(certificate: Path) -> ssl.SSLContext:
    """Return the server side's TLS context from one PEM file that holds the certificate chain and its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def add_health(app: web.Application, service: str) -> None:
    """Serve ``GET /_control/health``: what the supervisor waits for."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"service": service})

    app.router.add_get(f"{CONTROL_PREFIX}health", health)


async def serve(app: web.Application, *, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Serve the app on loopback until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for received in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(received, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port, ssl_context=tls).start()
        await stop.wait()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await runner.cleanup()
