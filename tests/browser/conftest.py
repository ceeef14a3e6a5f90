"""A local Azure, and Debian's Chromium to look at it with; what the page asks the browser not to do is collected."""

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from local.callers import POLL_SECONDS
from local.supervisor import LocalAzure
from local.supervisor.environment import APPROVER
from tests.end_to_end.app_harness import SECONDS, AppHarness
from tests.end_to_end.guarded import GuardedApp
from tests.end_to_end.quick_azure import quick_azure

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")  # Debian's, and that of hosted runners
ROOT = 0
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure with a few notes."""
    with quick_azure(tmp_path_factory.mktemp("azure"), deks=10) as running:
        yield running


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Any]:
    """Return a running browser."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only where these tests are run is it installed

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, f"none of {BROWSERS} is installed; on Debian: apt-get install {BROWSERS[0]}"
    arguments = ["--no-sandbox"] if os.geteuid() == ROOT else []  # Chromium refuses to run as root without it
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=found, args=arguments)


@pytest.fixture
async def said(browser: Any) -> AsyncIterator[list[str]]:
    """Collect what the browser complains of, and hold in the end that it was nothing."""
    complaints: list[str] = []
    yield complaints
    assert complaints == []


@contextlib.asynccontextmanager
async def window(browser: Any, said: list[str], **options: Any) -> AsyncIterator[Any]:
    """Open a window, as narrow as a telephone; what the page complains of is collected."""
    context = await browser.new_context(**{"viewport": {"width": 320, "height": 640}, **options})
    page = await context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield page
    await context.close()


@pytest.fixture
async def tab(browser: Any, said: list[str]) -> AsyncIterator[Any]:
    """Open a narrow window."""
    async with window(browser, said) as page:
        yield page


async def hard_to_use(tab: Any) -> list[str]:
    """Return what axe finds serious or critical on the page in light and in dark, for people who use it otherwise."""
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - only where these tests are run

    found = []
    for scheme in ("light", "dark"):
        await tab.emulate_media(color_scheme=scheme)
        for violation in (await Axe().run(tab)).response["violations"]:
            places = [node["html"] for node in violation["nodes"]]
            found += [f"{scheme}: {violation['id']}: {places}"] if violation["impact"] in SERIOUS else []
    return found


@pytest.fixture
async def app(azure: LocalAzure) -> AsyncIterator[AppHarness]:
    """The stage, with nothing running from earlier tests."""
    async with AppHarness(azure) as harness:
        await harness.end_what_runs()
        yield harness


@pytest.fixture(scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedApp]:
    """A local Azure on which people sign in."""
    with quick_azure(tmp_path_factory.mktemp("guarded"), deks=10, sign_in=True) as running:
        async with GuardedApp(running) as harness:
            yield harness


async def link_to_decide(app: AppHarness, run_id: str) -> str:
    """Wait for the link to the evidence in force that the approver is sent, and return it."""
    async with asyncio.timeout(SECONDS):
        while True:
            digest = (await app.callers.wait_for(run_id, "awaiting_approval"))["evidenceDigest"]
            for one in app.control("inbox", "GET", "messages")["messages"]:
                found = re.search(r"http\S+/approval\?token=\S+", one["message"])
                if found and one["channel"] == APPROVER and str(digest) in one["message"]:
                    return found[0]
            await asyncio.sleep(POLL_SECONDS)


async def open_console(app: AppHarness, tab: Any, by: str = "dana@example.com", run_id: str | None = None) -> None:
    """Ask for a link with the function key, as ``keyturn open`` does, and open it."""
    body = {"requestedBy": by, **({"runId": run_id} if run_id else {})}
    answer = await app.callers.call("POST", "/api/console/links", data=json.dumps(body).encode())
    assert answer.status == 201, answer.body
    await tab.goto(answer.body["url"])


async def sign_in(tab: Any, address: str, guarded: GuardedApp, *roles: str, name: str = "olga@example.com") -> None:
    """Open a page that asks to sign in first, and do so with these roles."""
    await tab.goto(address)
    await tab.get_by_label("Token").fill(guarded.token(name, *roles))
    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Sign in").click()


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
