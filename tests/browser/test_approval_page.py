"""The approver's page in a real browser: by keyboard, on a narrow screen, under its own content security policy."""

from typing import Any

import pytest

from local.supervisor.environment import APPROVER
from tests.browser.conftest import link_to_decide
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.guarded import APPROVER as MAY_DECIDE
from tests.end_to_end.guarded import GuardedApp

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


async def wider_than_the_screen(tab: Any) -> bool:
    """Tell whether the page has to be moved sideways to be read."""
    return bool(await tab.evaluate("document.scrollingElement.scrollWidth > window.innerWidth"))


async def test_an_approver_decides_by_keyboard_alone(app: AppHarness, tab: Any) -> None:
    """Tab, a comment, tab, enter: the rotation is completed, and the decision is the approver's with the comment."""
    run_id = await app.start()
    await tab.goto(await link_to_decide(app, run_id))
    digest = (await app.callers.status(run_id))["evidenceDigest"]
    assert digest in await tab.inner_text("main")
    assert not await wider_than_the_screen(tab)

    await tab.keyboard.press("Tab")
    await tab.keyboard.type("looked at, all is well")
    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.textContent") == "Approve"
    async with tab.expect_navigation():
        await tab.keyboard.press("Enter")

    assert f"You have approved {run_id}" in await tab.inner_text("h1")
    decision = (await app.callers.wait_for(run_id, "completed"))["decision"]
    assert (decision["decision"], decision["by"], decision["comment"]) == (
        "approved",
        APPROVER,
        "looked at, all is well",
    )


async def test_a_link_that_was_used_shows_the_decision_and_no_form(app: AppHarness, tab: Any) -> None:
    """Whoever comes back, or reloads, reads what was decided and cannot decide again."""
    run_id = await app.start()
    link = await link_to_decide(app, run_id)
    await tab.goto(link)
    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Reject").click()
    assert f"You have rejected {run_id}" in await tab.inner_text("h1")

    await tab.goto(link)

    assert await tab.locator("form").count() == 0
    assert "There is nothing more to decide." in await tab.inner_text("main")
    assert (await app.callers.wait_for(run_id, "rejected"))["decision"]["by"] == APPROVER


async def test_what_others_wrote_is_text(app: AppHarness, tab: Any) -> None:
    """A reason full of markup is shown as it was typed; nothing of it runs or loads."""
    run_id = await app.start(reason=HOSTILE)
    await tab.goto(await link_to_decide(app, run_id))

    assert HOSTILE in await tab.inner_text("main")
    assert await tab.locator("script, img").count() == 0
    await app.callers.command(run_id, "abort")
    await app.callers.wait_for(run_id, "aborted")


async def test_every_control_has_a_name_and_the_page_a_language(app: AppHarness, tab: Any) -> None:
    """What a screen reader needs: one heading, a language, and a label for the one field."""
    run_id = await app.start()
    await tab.goto(await link_to_decide(app, run_id))

    assert await tab.locator("html").get_attribute("lang") == "en"
    assert await tab.get_by_role("heading", level=1).count() == 1
    assert await tab.get_by_role("textbox", name="Comment").count() == 1
    assert [await button.inner_text() for button in await tab.get_by_role("button").all()] == ["Approve", "Reject"]
    await app.callers.command(run_id, "abort")
    await app.callers.wait_for(run_id, "aborted")


async def test_the_policy_of_the_page_is_enforced(app: AppHarness, tab: Any, said: list[str]) -> None:
    """Markup that got in nevertheless would neither run nor be sent elsewhere: the browser says so."""
    run_id = await app.start()
    await tab.goto(await link_to_decide(app, run_id))

    await tab.evaluate(
        "const made = document.createElement('script'); made.textContent = 'document.title = \"taken over\"';"
        "document.body.append(made)"
    )

    assert await tab.title() != "taken over"
    assert any("Content Security Policy" in complaint for complaint in said)
    said.clear()
    await app.callers.command(run_id, "abort")
    await app.callers.wait_for(run_id, "aborted")


async def test_a_link_that_was_changed_is_refused_in_words(app: AppHarness, tab: Any, said: list[str]) -> None:
    """The page of the refusal is a page as well, and holds no form."""
    run_id = await app.start()
    link = await link_to_decide(app, run_id)

    answer = await tab.goto(link[:-4] + "AAAA")

    assert answer.status == 401
    assert await tab.locator("form").count() == 0
    assert not await wider_than_the_screen(tab)
    assert all("401" in complaint for complaint in said)
    said.clear()
    await app.callers.command(run_id, "abort")
    await app.callers.wait_for(run_id, "aborted")


async def test_an_approver_signs_in_and_decides(guarded: GuardedApp, tab: Any) -> None:
    """The link leads to the sign-in and back; the form goes with the session's cookie, and App Service takes it."""
    run_id = await guarded.start()
    await tab.goto(await link_to_decide(guarded, run_id))
    await tab.get_by_label("Token").fill(guarded.token(APPROVER, MAY_DECIDE))
    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Sign in").click()
    assert await tab.get_by_role("button", name="Approve").count() == 1

    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Approve").click()

    assert f"You have approved {run_id}" in await tab.inner_text("h1")
    assert (await guarded.callers.wait_for(run_id, "completed"))["decision"]["by"] == APPROVER


async def test_the_token_in_the_address_is_told_to_nobody(app: AppHarness, tab: Any) -> None:
    """What the form's request says of the page is its site, not its address."""
    run_id = await app.start()
    await tab.goto(await link_to_decide(app, run_id))
    async with tab.expect_request(lambda request: request.method == "POST") as sent:
        await tab.get_by_role("button", name="Reject").click()
    told = await (await sent.value).all_headers()

    site = app.azure.layout.url("functions_host")
    assert (told["origin"], told["referer"]) == (site, f"{site}/")
    assert (await app.callers.wait_for(run_id, "rejected"))["decision"]["by"] == APPROVER
