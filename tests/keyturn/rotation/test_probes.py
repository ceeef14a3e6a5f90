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

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("/200")

    app.router.add_get("/moved", elsewhere)
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


async def test_a_redirect_is_not_followed(backend: str) -> None:
    """Whoever answers for the backend must not send the app, in the name of a check, to another host."""
    [found] = await probe_all([f"{backend}/moved"])

    assert (found.outcome, found.status, found.detail) == ("fail", 302, "answered 302, expected 200")


async def test_a_query_is_sent_and_not_kept(backend: str) -> None:
    """It may hold a key, and the record is read by many."""
    found = await probe_all([f"{backend}/200?code=s3cr3t", "http://127.0.0.1:1/health?code=s3cr3t"])

    assert [probe.url for probe in found] == [f"{backend}/200", "http://127.0.0.1:1/health"]
    assert "s3cr3t" not in repr(found)
