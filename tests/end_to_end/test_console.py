"""The console through Azure's Python worker, with function keys: in by a link, and by no other door."""

import base64
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from http.cookies import SimpleCookie

import aiohttp
import pytest

from tests.end_to_end.app_harness import AppHarness

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Return what keeps no cookie by itself, so that a test sees every one."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def opened(app: AppHarness, browser: aiohttp.ClientSession) -> str:
    """Open a link, and return the cookie that the browser is to send."""
    body = json.dumps({"requestedBy": "dana@example.com"}).encode()
    link = (await app.callers.call("POST", "/api/console/links", data=body)).body["url"]
    async with browser.get(link, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/api/console")
        [cookie] = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (cookie["path"], cookie["max-age"], cookie["samesite"]) == ("/api/console", "3600", "Lax")
    assert cookie["httponly"]
    assert cookie["secure"]
    return f"{cookie.key}={cookie.value}"


async def test_a_dry_run_is_ordered_and_seen(app: AppHarness, browser: aiohttp.ClientSession) -> None:
    """What the question says, the form orders once; its run is on the page that it leads to."""
    site = app.azure.layout.url("functions_host")
    headers = {"cookie": await opened(app, browser)}
    question = f"{site}/api/console/orders/dry-run/{app.keyring}"
    async with browser.get(question, headers=headers) as asked:
        assert "Refresh" not in asked.headers
        [form] = re.findall(r'name="form" value="([^"]+)"', await asked.text())
    async with browser.post(question, data={"reason": "x"}, headers=headers) as refused:
        assert refused.status == 403
    sent = {"form": form, "reason": "a try"}
    async with browser.post(question, data=sent, headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        led = answer.headers["Location"]
    status = await app.callers.wait_for(led.rpartition("/")[2], "completed")
    async with browser.get(f"{site}{led}", headers=headers) as shown:
        page = unescape(await shown.text())

    assert (status["requestedBy"], status["reason"], status["dryRun"]) == ("dana@example.com", "a try", True)
    assert "Refresh" not in shown.headers
    assert "Dry run of a rotation" in page
    assert "The chain is unbroken" in page
    stored = json.dumps([document async for document in app.runs.read_all_items()])
    session = headers["cookie"].partition("=")[2]
    grant = json.loads(base64.urlsafe_b64decode(f"{session.partition('.')[0]}==="))["grant"]
    assert status["rotationId"] in stored
    assert [secret for secret in (session, grant, form) if secret in stored] == []


async def test_without_a_session_every_page_is_closed(app: AppHarness, browser: aiohttp.ClientSession) -> None:
    """The function key in the address or a header opens none of them."""
    site, key = app.azure.layout.url("functions_host"), app.azure.endpoints()["functionKey"]
    for path in ("", f"/keyrings/{app.keyring}", "/diagnosis", f"/orders/start/{app.keyring}"):
        for headers in ({}, {"x-functions-key": str(key)}, {"cookie": "keyturn-console=x"}):
            async with browser.get(f"{site}/api/console{path}", headers=headers) as answer:
                assert answer.status in (401, 429), path
                assert answer.content_type == "text/html"
