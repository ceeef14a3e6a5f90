"""Probes: the backend's own URLs must answer 200."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from keyturn.rotation.verification import probe_all
from keyturn.runs.record_parts import Probe


@pytest.fixture
async def backend() -> AsyncIterator[str]:
    """A backend that is well at one path and not at another."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))

    app = web.Application()
    app.router.add_get("/{status}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_only_200_is_well(backend: str) -> None:
    """Every URL is asked; another answer, and none, are failures that say what came."""
    nowhere = "http://127.0.0.1:1/health"

    found = await probe_all([f"{backend}/200", f"{backend}/503", f"{backend}/204", nowhere])

    assert [
        Probe(url=f"{backend}/200", outcome="pass", status=200),
        Probe(url=f"{backend}/503", outcome="fail", status=503, detail="answered 503, expected 200"),
        Probe(url=f"{backend}/204", outcome="fail", status=204, detail="answered 204, expected 200"),
        Probe(url=nowhere, outcome="fail", detail="no answer: ClientConnectorError"),
    ] == found
