"""Probes: the backend must answer as the settings say, and what is sent and answered stays out of the result."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from azure.core.credentials_async import AsyncTokenCredential

from keyturn.rotation.probes import BODY_BYTES_MAX, probe_all
from keyturn.runs.record_parts import Probe
from local.identity.tokens import verify
from tests.field_encrypt.local_vault import LocalVault
from tests.keyturn.settings.probes import SECRET, probes_of

AUDIENCE = "api://notelett"
NOWHERE = "http://127.0.0.1:1/health"


class Backend:
    """What was asked, and where."""

    def __init__(self, url: str, asked: list[web.Request]) -> None:
        self.url, self.asked = url, asked

    async def probe(self, path: str = "/200", credential: Any = None, **probe: Any) -> Probe:
        """Make one probe of the backend."""
        [found] = await probe_all(probes_of({"url": f"{self.url}{path}", **probe}), credential)
        return found


BODIES: dict[str, bytes] = {
    "ok": b'{"status": "ready", "checks": {"keyVault": "ok"}, "count": 1, "secret": "the answer\'s own"}',
    "long": b'{"status": "' + BODY_BYTES_MAX * b"x" + b'ready"}',
    "text": b"ready, and no JSON",
    "deep": BODY_BYTES_MAX * b"[",
}


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    """A backend that is well at one path and not at another."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=int(request.match_info["status"]))

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("/200")

    async def body(request: web.Request) -> web.Response:
        return web.Response(body=BODIES[request.match_info["name"]])

    app = web.Application()
    app.router.add_get("/moved", elsewhere)
    app.router.add_get("/bodies/{name}", body)
    app.router.add_route("*", "/{status}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield Backend(f"http://{host}:{port}", asked)
    await runner.cleanup()


async def test_only_200_is_well(backend: Backend) -> None:
    """Every URL is asked; another answer, and none, are failures that say what came."""
    urls = [f"{backend.url}/200", f"{backend.url}/503", f"{backend.url}/204", NOWHERE]

    found = await probe_all(probes_of(*urls), no_credential())

    assert [
        Probe(url=urls[0], outcome="pass", status=200),
        Probe(url=urls[1], outcome="fail", status=503, detail="answered 503, expected 200"),
        Probe(url=urls[2], outcome="fail", status=204, detail="answered 204, expected 200"),
        Probe(url=NOWHERE, outcome="fail", detail="no answer: ClientConnectorError"),
    ] == found


def no_credential() -> Any:
    """Return what stands for a credential where no token is asked for: using it is an error."""
    return None


async def test_a_redirect_is_not_followed(backend: Backend) -> None:
    """Whoever answers for the backend must not send the app, in the name of a check, to another host."""
    found = await backend.probe("/moved")

    assert (found.outcome, found.status, found.detail) == ("fail", 302, "answered 302, expected 200")


async def test_a_query_is_sent_and_not_kept(backend: Backend) -> None:
    """It may hold a key, and the record is read by many."""
    found = await probe_all(probes_of(f"{backend.url}/200?code=s3cr3t", f"{NOWHERE}?code=s3cr3t"), no_credential())

    assert [probe.url for probe in found] == [f"{backend.url}/200", NOWHERE]
    assert "s3cr3t" not in repr(found)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_method_and_status_are_the_probes(backend: Backend, method: str) -> None:
    """The request is of this method, and another status than 200 may be the expected one."""
    found = await backend.probe("/204", method=method, status=204)

    assert (found.outcome, found.status) == ("pass", 204)
    assert [request.method for request in backend.asked] == [method]


@pytest.mark.parametrize("status", [200, 500])
async def test_headers_are_sent_and_not_kept(backend: Backend, status: int) -> None:
    """The value comes from the app setting that is named; neither a pass nor a failure tells it."""
    found = await backend.probe(f"/{status}", headers={"Authorization": "NOTE_TOKEN", "X-Tenant": "TENANT"})

    [request] = backend.asked
    assert (request.headers["Authorization"], request.headers["X-Tenant"]) == (SECRET, "blue")
    assert SECRET not in repr(found) + repr(probes_of({"url": NOWHERE, "headers": {"Authorization": "NOTE_TOKEN"}}))
    assert found.outcome == ("pass" if status == 200 else "fail")


async def test_the_apps_identity_brings_a_token(backend: Backend, vault: LocalVault) -> None:
    """It is for the audience of the probe's scope, and of the app's own principal."""
    async with vault.credential("probing") as credential:
        found = await backend.probe(credential=credential, scope=f"{AUDIENCE}/.default")

    [request] = backend.asked
    kind, _, token = request.headers["Authorization"].partition(" ")
    assert (kind, verify(token, vault.identity_key.read_bytes(), {AUDIENCE}).name) == ("Bearer", "probing")
    assert (found.outcome, found.detail) == ("pass", "")


async def test_without_a_token_nothing_is_asked(backend: Backend, vault: LocalVault) -> None:
    """No token for the scope is a failed probe, which says so without the service's words."""
    credential: AsyncTokenCredential
    async with vault.credential("probing") as credential:
        found = await backend.probe(credential=credential, scope="api://unknown.example.com/.default")

    assert (found.outcome, found.status, backend.asked) == ("fail", None, [])
    assert found.detail.startswith("not asked: no token for its scope (")
    assert "unknown.example.com" not in repr(found)


async def test_a_reference_that_was_not_resolved_is_not_sent(backend: Backend) -> None:
    """The probe fails and says so; the settings are read all the same, so the app and operators go on."""
    probe = {"url": f"{backend.url}/200", "headers": {"Authorization": "UNRESOLVED"}}

    [found] = await probe_all(probes_of(probe), no_credential())

    detail = "not asked: the platform did not resolve the Key Vault reference for Authorization"
    assert (found.outcome, found.detail, backend.asked) == ("fail", detail, [])


@pytest.mark.parametrize(
    ("body", "check", "detail"),
    [
        ("ok", {"contains": "ready"}, ""),
        ("ok", {"equals": {"status": "ready", "checks.keyVault": "ok", "count": 1}}, ""),
        ("ok", {"contains": "well"}, f"contains: the text is not in the body's first {BODY_BYTES_MAX} bytes"),
        ("long", {"contains": "ready"}, f"contains: the text is not in the body's first {BODY_BYTES_MAX} bytes"),
        ("long", {"equals": {"status": "ready"}}, f"equals: the body is longer than {BODY_BYTES_MAX} bytes"),
        ("ok", {"equals": {"status": "ok", "count": 1, "checks.dekStore": None}}, "equals: status, checks.dekStore"),
        ("ok", {"equals": {"count": True}}, "equals: count"),
        ("text", {"equals": {"status": "ready"}}, "equals: the body is no JSON"),
        ("deep", {"equals": {"status": "ready"}}, "equals: the body is no JSON"),
    ],
)
async def test_the_body_is_checked_and_not_kept(backend: Backend, body: str, check: Any, detail: str) -> None:
    """A failure says which check, and nothing of the body; so much of it is read and no more."""
    found = await backend.probe(f"/bodies/{body}", **check)

    assert (found.outcome, found.status, found.detail) == ("fail" if detail else "pass", 200, detail)
    assert "the answer's own" not in json.dumps(found.to_payload())
