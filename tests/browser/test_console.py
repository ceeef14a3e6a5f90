"""The console in a real browser: a rotation from its start to its end, what roles see, and what others cannot order."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from keyturn.html import script
from tests.browser.conftest import HOSTILE, hard_to_use, link_to_decide, open_console, sign_in, window
from tests.end_to_end.app_harness import SECONDS, AppHarness
from tests.end_to_end.guarded import APPROVER, OPERATOR, READER, REQUESTER, GuardedApp

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]

MILLISECONDS = SECONDS * 1000
ELSEWHERE = "http://elsewhere.example/"


async def heading(tab: Any, text: str) -> None:
    """Wait until the page says so in its heading; it is loaded again by itself."""
    await tab.get_by_role("heading", level=1).filter(has_text=text).wait_for(timeout=MILLISECONDS)


async def give(tab: Any, order: str) -> None:
    """Press the button of an order, and the one that confirms it."""
    await tab.get_by_role("link", name=order, exact=True).click()
    async with tab.expect_navigation():
        await tab.get_by_role("button", name=order, exact=True).click()


@pytest.fixture
async def ended(app: AppHarness) -> AsyncIterator[None]:
    """Leave nothing running."""
    yield
    await app.end_what_runs()


async def test_a_rotation_is_followed_from_its_start_to_its_end(
    app: AppHarness, browser: Any, tab: Any, said: list[str]
) -> None:
    """Started by a button; the page goes on by itself until another person approves on theirs, and then to the end."""
    await open_console(app, tab)
    assert "token" not in tab.url
    await give(tab, "Start a rotation")
    run_id = tab.url.rpartition("/")[2]
    await heading(tab, "awaiting approval")
    page = await tab.inner_text("main")
    assert "a decision by another person than dana@example.com" in page
    assert "The chain is unbroken" in page

    own = await app.callers.decide(
        run_id, (await app.callers.status(run_id))["evidenceDigest"], approver="dana@example.com"
    )
    assert (own.status, "another approver must look at the evidence" in own.body["hint"]) == (403, True)
    async with window(browser, said) as approver:
        await approver.goto(await link_to_decide(app, run_id))
        async with approver.expect_navigation():
            await approver.get_by_role("button", name="Approve").click()
        assert f"You have approved {run_id}" in await approver.inner_text("h1")
    await heading(tab, "completed")

    page = await tab.inner_text("main")
    assert "approved by sam@example.com" in page
    assert "Asked for by\ndana@example.com" in page
    assert await tab.locator("svg.chart rect.target").count() > 0
    assert await tab.get_by_text("is loaded again every").count() == 0
    await tab.get_by_role("link", name="The whole evidence").click()
    assert "The evidence is what its digest names." in await tab.inner_text("main")


async def test_an_abort_says_what_follows_and_is_obeyed(app: AppHarness, tab: Any) -> None:
    """The question stays as it is while it is read; then the run ends in the name of the session."""
    run_id = await app.start()
    await app.callers.wait_for(run_id, "awaiting_approval")
    await open_console(app, tab, by="olga@example.com", run_id=run_id)
    await tab.get_by_role("link", name="Abort", exact=True).click()
    asked = await tab.goto(tab.url)
    assert "refresh" not in asked.headers
    assert "Every version stays enabled" in await tab.inner_text("main")

    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Abort", exact=True).click()
    await heading(tab, "aborted")
    assert "abort, by olga@example.com" in await tab.inner_text("main")


async def test_buttons_are_those_of_the_role(guarded: GuardedApp, tab: Any) -> None:
    """Whoever signs in sees the run; what the role does not allow is not there."""
    run_id = await guarded.start()
    await guarded.callers.wait_for(run_id, "awaiting_approval")
    for roles, buttons in ((READER,), 0), ((APPROVER, REQUESTER), 0), ((OPERATOR,), 1):
        await tab.context.clear_cookies()
        await sign_in(tab, f"{guarded.azure.layout.url('functions_host')}/api/console/runs/{run_id}", guarded, *roles)

        assert run_id in await tab.inner_text("main")
        assert await tab.get_by_role("link", name="Abort", exact=True).count() == buttons
        assert await tab.get_by_role("link", name="Diagnosis").count() == buttons
    await guarded.callers.call("POST", f"/api/rotations/{run_id}/abort")
    await guarded.callers.wait_for(run_id, "aborted")


async def test_what_others_wrote_is_text(app: AppHarness, tab: Any, said: list[str], ended: None) -> None:
    """Names, reasons, ids and addresses full of markup are shown as they were typed; nothing runs or loads."""
    hostile, barred = f"dana {HOSTILE}", f"row {HOSTILE.replace('/', '|')}"  # no id in Cosmos DB has a slash
    run_id = await app.start(reason=HOSTILE, requestedBy=hostile)
    await app.callers.wait_for(run_id, "awaiting_approval")
    digest = (await app.callers.status(run_id))["evidenceDigest"]
    await app.callers.decide(run_id, digest, decision="reject", approver=f"sam {HOSTILE}")
    await app.callers.wait_for(run_id, "rejected")
    row = await app.add_row(await app.newest_version(), id=barred, mekName=HOSTILE)
    await open_console(app, tab, by=hostile, run_id=run_id)

    shown = {
        f"/runs/{run_id}": [f"Asked for by\n{hostile}", f"Reason\n{HOSTILE}", f"rejected by sam {HOSTILE}"],
        f"/runs/{run_id}/evidence": [HOSTILE],
        f"/keyrings/{app.keyring}": [f"asked for by {hostile}: {HOSTILE}"],
        f"/orders/start/{app.keyring}": [f"in the name of {hostile}"],
        f"/diagnosis?keyring={app.keyring}&dek={quote(row)}": [f"dekId\n{barred}", f"mekName\n{HOSTILE}"],
        f"/keyrings/{quote(barred)}": [f"there is no keyring '{barred}'"],
        f"/diagnosis?keyring={quote(HOSTILE)}&dek=x": [f"there is no keyring '{HOSTILE}'"],
        "": [app.keyring],
    }
    for path, texts in shown.items():
        await tab.goto(f"{app.azure.layout.url('functions_host')}/api/console{path}")
        told = await tab.inner_text("main")
        assert [text for text in texts if text not in told] == [], path
        assert hostile in await tab.inner_text("header")
        assert await tab.locator("img, [onerror]").count() == 0
        assert await tab.locator("script").all_text_contents() == [script("evidence")] * path.endswith("/evidence")
    await app.delete_row(row)
    assert all("404" in complaint for complaint in said)
    said.clear()


async def look_at(app: AppHarness, tab: Any, *paths: str) -> None:
    """Hold that axe finds nothing serious on these pages, all unfolded, and that none is wider than the screen."""
    for path in paths:
        await tab.goto(f"{app.azure.layout.url('functions_host')}/api/console{path}")
        await tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert (path, await hard_to_use(tab)) == (path, [])
        assert not await tab.evaluate("document.scrollingElement.scrollWidth > window.innerWidth"), path


async def test_every_page_is_accessible(app: AppHarness, tab: Any, said: list[str], ended: None) -> None:
    """With 360 pixels, light and dark: of a keyring in order, of a run that needs attention or waits, and refusals."""
    await tab.set_viewport_size({"width": 360, "height": 740})
    await open_console(app, tab)
    dek = next(iter([row["id"] async for row in app.rows.read_all_items()]))
    keyring, diagnosis = app.keyring, f"/diagnosis?keyring={app.keyring}"
    await look_at(app, tab, "", f"/keyrings/{keyring}", f"/orders/start/{keyring}", "/runs/none")
    await look_at(app, tab, "/diagnosis", f"{diagnosis}&dek={dek}", f"{diagnosis}&dek=none")

    await app.rotate()  # else the version that an aborted run has made is the target, and the row is not stale
    bad = await app.add_row(await app.newest_version(), wrappedDek="AAAA")
    run_id = await app.start()
    await app.callers.wait_for(run_id, "needs_attention")
    await look_at(app, tab, "?refresh=off", f"/runs/{run_id}?refresh=off")
    await look_at(app, tab, f"/orders/retry/{run_id}", f"/orders/start/{keyring}")

    await app.delete_row(bad)
    await app.callers.command(run_id, "retry")
    await app.callers.wait_for(run_id, "awaiting_approval")
    await look_at(app, tab, f"/runs/{run_id}?refresh=off", f"/runs/{run_id}/evidence", f"/orders/abort/{run_id}")
    assert {complaint[-15:] for complaint in said} == {"404 (Not Found)", " 409 (Conflict)"}
    said.clear()


async def test_the_way_in_is_said_on_the_page(app: AppHarness, tab: Any, said: list[str]) -> None:
    """Without a session: with 401, and in words."""
    answer = await tab.goto(f"{app.azure.layout.url('functions_host')}/api/console")

    assert answer.status == 401
    assert "keyturn open" in await tab.inner_text("main")
    assert all("401" in complaint for complaint in said)
    said.clear()


async def test_another_site_orders_nothing(app: AppHarness, tab: Any, said: list[str]) -> None:
    """Its form comes without the session's cookie; with the cookie and without the page's token it is refused too."""
    run_id = await app.start()
    await app.callers.wait_for(run_id, "awaiting_approval")
    await open_console(app, tab, run_id=run_id)
    target = f"{app.azure.layout.url('functions_host')}/api/console/orders/abort/{run_id}"
    form = f'<form method="post" action="{target}"><button>Win a prize</button></form>'
    await tab.context.route(ELSEWHERE, lambda route: route.fulfill(body=form, content_type="text/html"))
    await tab.goto(ELSEWHERE)
    async with tab.expect_response(target) as sent:
        await tab.get_by_role("button").click()
    assert (await sent.value).status == 401
    await heading(tab, "Unauthenticated")
    assert all("401" in complaint for complaint in said)
    said.clear()

    refused = await tab.context.request.post(target, form={"reason": "x"})
    assert refused.status == 403
    assert (await app.callers.report(run_id))["record"]["commands"] == []
    await app.end_what_runs()


async def test_another_site_orders_nothing_where_people_sign_in(guarded: GuardedApp, tab: Any, said: list[str]) -> None:
    """There the platform refuses a form that comes from elsewhere, and the app one without the page's token."""
    run_id = await guarded.start()
    await guarded.callers.wait_for(run_id, "awaiting_approval")
    site = guarded.azure.layout.url("functions_host")
    await sign_in(tab, f"{site}/api/console/runs/{run_id}", guarded, OPERATOR)
    target = f"{site}/api/console/orders/abort/{run_id}"
    refused = await tab.context.request.post(target, form={"reason": "x"}, headers={"origin": site})
    assert refused.status == 403
    assert "is not one that this page has shown you" in await refused.text()
    elsewhere = await tab.context.request.post(
        target, form={"reason": "x"}, headers={"origin": "http://elsewhere.example"}
    )
    assert elsewhere.status == 403
    assert (await guarded.callers.report(run_id))["record"]["commands"] == []

    await give(tab, "Abort")
    await heading(tab, "aborted")
    said.clear()
