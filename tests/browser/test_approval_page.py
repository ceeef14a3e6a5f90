"""The approver's page in a real browser: by keyboard, on a telephone, under its own content security policy."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyturn.approval.links import Link, make_token
from keyturn.html import script
from local.supervisor.environment import APPROVER
from tests.browser.conftest import HOSTILE, hard_to_use, link_to_decide, window
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.guarded import APPROVER as MAY_DECIDE
from tests.end_to_end.guarded import GuardedApp

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]
HIDING = "\u202e\u200b"
TELEPHONE = {"width": 360, "height": 640}
REQUESTER = "dana@example.com"


async def wider_than_the_screen(tab: Any) -> bool:
    """Tell whether the page has to be moved sideways to be read."""
    return bool(await tab.evaluate("document.scrollingElement.scrollWidth > window.innerWidth"))


async def end(app: AppHarness, run_id: str) -> None:
    """End the run, so that the next test can begin."""
    await app.callers.command(run_id, "abort")
    await app.callers.wait_for(run_id, "aborted")


async def press(tab: Any, button: str) -> None:
    """Press the button, and wait for the page that answers."""
    async with tab.expect_navigation():
        await tab.get_by_role("button", name=button).click()


async def test_an_approver_decides_by_keyboard_alone(app: AppHarness, tab: Any) -> None:
    """Tab to the comment, type, tab to the button, enter: the rotation is completed with decision and comment."""
    run_id = await app.start()
    await tab.goto(await link_to_decide(app, run_id))
    assert "All checks passed" in await tab.inner_text("main")
    assert not await wider_than_the_screen(tab)

    passed = []
    while (
        focused := await tab.evaluate("document.activeElement.id || document.activeElement.textContent")
    ) != "Approve":
        if focused == "remark":
            await tab.keyboard.type("looked at, all is well")
        passed.append(focused)
        await tab.keyboard.press("Tab")
        assert len(passed) < 20
    async with tab.expect_navigation():
        await tab.keyboard.press("Enter")

    assert f"You have approved {run_id}" in await tab.inner_text("h1")
    decision = (await app.callers.wait_for(run_id, "completed"))["decision"]
    assert (decision["decision"], decision["by"], decision["comment"]) == (
        "approved",
        APPROVER,
        "looked at, all is well",
    )


async def test_a_stale_writer_is_acknowledged_first(app: AppHarness, tab: Any) -> None:
    """Browser and server refuse to approve without; what was ticked is in the record, and the outcome on the link."""
    old = await app.newest_version()
    run_id = await app.start()
    await app.callers.wait_for(run_id, "soaking")
    await app.add_row(old, createdAt=datetime.now(UTC).isoformat())
    await app.callers.wait_for(run_id, "awaiting_approval")
    link = await link_to_decide(app, run_id)
    await tab.goto(link)
    assert "1 thing to look at" in await tab.inner_text(".verdict")
    assert "1 row was still written under an old version" in await tab.inner_text(".findings li:first-child")

    await tab.get_by_role("button", name="Approve").click()
    box = tab.get_by_role("checkbox")
    assert await box.evaluate("box => box === document.activeElement && box.validity.valueMissing")
    form = {"token": parse_qs(urlsplit(link).query)["token"][0], "decision": "approve"}
    kind = {"content-type": "application/x-www-form-urlencoded", "x-functions-key": ""}
    sent = await app.callers.call("POST", urlsplit(link).path, data=urlencode(form).encode(), headers=kind)
    assert (sent.status, "stale_writers is missing" in sent.body) == (400, True)
    assert (await app.callers.status(run_id))["decision"] is None
    await box.check()
    await press(tab, "Approve")

    decision = (await app.callers.wait_for(run_id, "completed"))["decision"]
    assert (decision["decision"], decision["acknowledged"]) == ("approved", ["stale_writers"])
    await tab.goto(link)
    assert f"You have approved {run_id}" in await tab.inner_text("h1")
    assert "The rotation is completed since" in await tab.inner_text("main")


async def test_a_rejection_takes_a_comment(app: AppHarness, tab: Any, said: list[str]) -> None:
    """Whoever comes back, or sends the form again, reads what was decided and cannot decide again."""
    run_id = await app.start()
    link = await link_to_decide(app, run_id)
    await tab.goto(link)
    await tab.get_by_role("button", name="Reject").click()
    assert await tab.evaluate("document.activeElement.id") == "why"
    await tab.keyboard.type("not today")
    await press(tab, "Reject")
    assert f"You have rejected {run_id}" in await tab.inner_text("h1")

    await tab.reload()  # which sends the form once more
    again = await tab.inner_text("main")
    await tab.goto(link)

    assert "not today" in again
    assert await tab.locator("form").count() == 0
    assert f"{APPROVER} rejected it on" in await tab.inner_text("main")
    decision = (await app.callers.wait_for(run_id, "rejected"))["decision"]
    assert (decision["by"], decision["comment"]) == (APPROVER, "not today")
    assert all("409" in complaint for complaint in said)
    said.clear()


async def test_the_page_works_without_scripts(app: AppHarness, browser: Any, said: list[str]) -> None:
    """It has none, and needs none: forms and boxes are the browser's."""
    run_id = await app.start()
    async with window(browser, said, java_script_enabled=False) as tab:
        await tab.goto(await link_to_decide(app, run_id))
        await tab.get_by_label("Why, needed to reject").fill("by hand")
        await press(tab, "Reject")

    assert (await app.callers.wait_for(run_id, "rejected"))["decision"]["comment"] == "by hand"


async def test_what_others_wrote_is_text(app: AppHarness, tab: Any) -> None:
    """Names, reasons, ids and comments full of markup are shown as typed; nothing of it runs, loads or hides."""
    await app.rotate()
    planted = await app.add_row(await app.newest_version(), id=HOSTILE.replace("/", "|"))
    reason = f"{HOSTILE}{HIDING}{'long' * 80}"
    run_id = await app.start(reason=reason, requestedBy=HOSTILE)
    await tab.goto(await link_to_decide(app, run_id))
    await tab.get_by_text("The whole evidence").click()

    shown = await tab.inner_text("main")
    for text in (HOSTILE, planted, "\\u202e\\u200blonglong"):
        assert text in shown
    assert not set(HIDING) & set(shown)
    assert await tab.locator("img").count() == 0
    assert await tab.locator("script").all_text_contents() == [script("evidence")]
    assert not await wider_than_the_screen(tab)
    await tab.get_by_role("checkbox").check()
    await tab.get_by_label("Comment, if you like").fill(f"{HOSTILE}{HIDING}")
    await press(tab, "Approve")
    assert f"{HOSTILE}\\u202e\\u200b" in await tab.inner_text("main")
    assert await tab.locator("script, img").count() == 0
    await app.callers.wait_for(run_id, "completed")


async def test_the_buttons_are_in_the_first_screen_and_stay(app: AppHarness, browser: Any, said: list[str]) -> None:
    """On a telephone: before anything was moved, and wherever the page is moved to."""
    run_id = await app.start(reason="monthly " * 60)
    async with window(browser, said, viewport=TELEPHONE) as tab:
        await tab.goto(await link_to_decide(app, run_id))
        for top in (0, 300, 100_000):
            await tab.evaluate("top => window.scrollTo(0, top)", top)
            boxes = [await tab.get_by_role("button", name=name).bounding_box() for name in ("Approve", "Reject")]
            for box in boxes:
                assert box["y"] >= 0
                assert box["y"] + box["height"] <= TELEPHONE["height"]
                assert box["height"] >= 44
                assert box["width"] >= 120
            assert boxes[0]["y"] == boxes[1]["y"]
        assert not await wider_than_the_screen(tab)
    await end(app, run_id)


async def test_the_pages_are_accessible(app: AppHarness, browser: Any, said: list[str]) -> None:
    """Question, refusal and outcome, light and dark: axe finds nothing serious, also where all of it is unfolded."""
    run_id = await app.start()
    async with window(browser, said, viewport=TELEPHONE) as tab:
        link = await link_to_decide(app, run_id)
        await tab.goto(link)
        for summary in await tab.locator("summary").all():
            await summary.click()
        assert await tab.locator("html").get_attribute("lang") == "en"
        assert await tab.get_by_role("heading", level=1).count() == 1
        assert await hard_to_use(tab) == []
        await tab.goto(f"{link}x")
        assert await hard_to_use(tab) == []
        assert all("401" in complaint for complaint in said)
        said.clear()
        await tab.goto(link)
        await tab.get_by_label("Why, needed to reject").fill("seen")
        await press(tab, "Reject")
        assert await hard_to_use(tab) == []


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
    await end(app, run_id)


async def test_a_link_that_opens_nothing_says_what_to_do(app: AppHarness, tab: Any, said: list[str]) -> None:
    """One that was changed, expired, is to other evidence or the requester's own: no form, and a way on."""
    run_id = await app.start()
    link = await link_to_decide(app, run_id)
    digest = (await app.callers.status(run_id))["evidenceDigest"]
    good = Link(run_id=run_id, evidence_digest=digest, approver=APPROVER, expires_at=datetime.now(UTC) + timedelta(1))
    cases: dict[int, tuple[dict[str, Any], str]] = {
        401: ({}, f"keyturn open {run_id}"),
        403: ({"approver": REQUESTER}, "another approver must look at the evidence"),
        409: ({"evidence_digest": "0" * 64}, "open the link in the newest message"),
        410: ({"expires_at": datetime.now(UTC)}, f"keyturn open {run_id}"),
    }

    for status, (changed, way_on) in cases.items():
        token = make_token(good.model_copy(update=changed), app.azure.endpoints()["approvalSecret"])
        answer = await tab.goto(f"{link.partition('=')[0]}={token if changed else f'{token[:-4]}AAAA'}")

        assert answer.status == status
        assert await tab.locator("form").count() == 0
        assert way_on in await tab.inner_text("main")
        assert not await wider_than_the_screen(tab)
        assert all(str(status) in complaint for complaint in said)
        said.clear()
    assert (await app.callers.status(run_id))["decision"] is None
    await end(app, run_id)


async def test_an_approver_signs_in_and_decides(guarded: GuardedApp, tab: Any) -> None:
    """The link leads to the sign-in and back; the form goes with the session's cookie, and App Service takes it."""
    run_id = await guarded.start()
    await tab.goto(await link_to_decide(guarded, run_id))
    await tab.get_by_label("Token").fill(guarded.token(APPROVER, MAY_DECIDE))
    await press(tab, "Sign in")
    assert await tab.get_by_role("button", name="Approve").count() == 1

    await press(tab, "Approve")

    assert f"You have approved {run_id}" in await tab.inner_text("h1")
    assert (await guarded.callers.wait_for(run_id, "completed"))["decision"]["by"] == APPROVER


async def test_the_token_in_the_address_is_sent_to_no_other_site(app: AppHarness, tab: Any) -> None:
    """What the form's request says of the page is its site, not its address."""
    run_id = await app.start()
    await tab.goto(await link_to_decide(app, run_id))
    await tab.get_by_label("Why, needed to reject").fill("to see what is sent")
    async with tab.expect_request(lambda request: request.method == "POST") as sent:
        await tab.get_by_role("button", name="Reject").click()
    sent_headers = await (await sent.value).all_headers()

    site = app.azure.layout.url("functions_host")
    assert (sent_headers["origin"], sent_headers["referer"]) == (site, f"{site}/")
    assert (await app.callers.wait_for(run_id, "rejected"))["decision"]["by"] == APPROVER
