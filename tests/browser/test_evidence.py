"""The evidence on a page: the reader's browser hashes what it was sent, and says whether the digest names it."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.browser.conftest import HOSTILE, link_to_decide, open_console, window
from tests.end_to_end.app_harness import AppHarness

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]

type Change = Callable[[str], str]
VERDICT = "#evidence-verdict"


@pytest.fixture
async def waiting(app: AppHarness) -> AsyncIterator[str]:
    """A run whose evidence waits for a decision, with a reason full of markup."""
    run_id = await app.start(reason=HOSTILE)
    yield run_id
    await app.end_what_runs()


async def altered_on_its_way(tab: Any, change: Change) -> None:
    """Let whatever the tab asks for arrive as the change makes it, under the headers that were sent."""

    async def pass_on(route: Any) -> None:
        answer = await route.fetch()
        before = await answer.text()
        after = change(before)
        assert after != before
        await route.fulfill(response=answer, body=after)

    await tab.route("**/*", pass_on)


def fewer_rows(page: str) -> str:
    """Change one digit of what is hashed."""
    return re.sub(r"(onTarget&#34;:)(\d)", lambda found: f"{found[1]}{(int(found[2]) + 1) % 10}", page, count=1)


def another_digest(page: str) -> str:
    """Name another digest beside the same evidence."""
    return re.sub(r'(data-digest=")[0-9a-f]{4}', r"\g<1>0000", page, count=1)


def twice(page: str) -> str:
    """Say a member twice: a reader may see the first, and a parser takes the last."""
    return re.sub(r'(data-digest="[0-9a-f]+">{)', r"\g<1>&#34;quarantined&#34;:7,", page, count=1)


async def test_the_approvers_browser_hashes_the_evidence(app: AppHarness, waiting: str, tab: Any) -> None:
    """The digest that is decided on is recomputed where it is read; what was changed on its way is unfolded."""
    from playwright.async_api import expect  # noqa: PLC0415 - only where these tests are run is it installed

    link = await link_to_decide(app, waiting)
    digest = (await app.callers.status(waiting))["evidenceDigest"]
    await tab.goto(link)
    await expect(tab.locator(VERDICT)).to_have_text(f"VERIFIED by your browser: the evidence hashes to {digest}.")
    await expect(tab.locator(VERDICT)).to_be_hidden()
    await tab.get_by_text("The whole evidence, and its digest").click()
    await expect(tab.locator(VERDICT)).to_be_visible()
    assert await tab.locator("main img").count() == 0

    for change in (fewer_rows, another_digest, twice):
        await tab.unroute_all()
        await altered_on_its_way(tab, change)
        await tab.goto(link)
        await expect(tab.locator(VERDICT)).to_contain_text("NOT VERIFIED by your browser")
        await expect(tab.locator(VERDICT)).to_be_visible()


async def test_so_does_that_of_a_reader_of_the_console(app: AppHarness, waiting: str, tab: Any) -> None:
    """On the page with the whole evidence."""
    from playwright.async_api import expect  # noqa: PLC0415 - only where these tests are run is it installed

    await app.callers.wait_for(waiting, "awaiting_approval")
    await open_console(app, tab, run_id=waiting)
    await tab.get_by_role("link", name="The whole evidence").click()
    await expect(tab.locator(VERDICT)).to_contain_text("VERIFIED by your browser: the evidence hashes to")

    await altered_on_its_way(tab, fewer_rows)
    await tab.reload()
    await expect(tab.locator(VERDICT)).to_contain_text("NOT VERIFIED by your browser: it hashes to")


async def test_without_scripts_the_page_decides_all_the_same(
    app: AppHarness, waiting: str, browser: Any, said: list[str]
) -> None:
    """It says that the browser did not hash the evidence, and that the server did; the form works."""
    link = await link_to_decide(app, waiting)
    async with window(browser, said, java_script_enabled=False) as approver:
        await approver.goto(link)
        await approver.get_by_text("The whole evidence, and its digest").click()
        assert "did not hash the evidence" in await approver.inner_text(VERDICT)
        assert "the server has hashed the stored evidence again" in await approver.inner_text("main")
        async with approver.expect_navigation():
            await approver.get_by_role("button", name="Approve").click()
        assert f"You have approved {waiting}" in await approver.inner_text("h1")
    await app.callers.wait_for(waiting, "completed")
