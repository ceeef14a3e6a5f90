"""The console through its routes: who gets in, and which orders are taken from whom."""

import json
import re
from http.cookies import SimpleCookie

import pytest

from keyturn.access.roles import Role
from keyturn.contracts.states import State
from tests.triggers.console_visits import Console

HOSTILE = '<script>alert(1)</script>" onload=x \u202e'


ROLES = (Role.OPERATOR, Role.REQUESTER)


PUBLIC = "https://keyturn.example"  # as the settings of the harness say


async def test_a_link_opens_a_session_and_its_token_leaves_the_address(console: Console) -> None:
    """The cookie is for this app's pages alone, out of scripts' reach, and for an hour."""
    record = await console.run(State.AWAITING_APPROVAL)
    link = await console.link(requestedBy="dana@example.com", runId=record.run_id)
    opened = await console.send("show_console_run", "GET", f"{link}&refresh=off")

    page = f"/api/console/runs/{record.run_id}"
    assert link.startswith(f"{PUBLIC}{page}?token=")
    assert (opened.status_code, opened.headers["Location"]) == (303, f"{page}?refresh=off")
    [cookie] = SimpleCookie(opened.headers["Set-Cookie"]).values()
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["max-age"]) == ("/api/console", "3600")
    console.cookie = f"{cookie.key}={cookie.value}"
    status, text = await console.see(page)
    assert (status, "You are dana@example.com" in text) == (200, True)


@pytest.mark.parametrize("cookie", ["", "keyturn-console=x.y", "other=1", "=;,"])
async def test_without_a_session_the_page_says_how_to_get_one(console: Console, cookie: str) -> None:
    """With 401, as a page."""
    console.cookie = cookie
    status, text = await console.see("/api/console", "show_console")

    assert status == 401
    assert "keyturn open" in text


async def test_the_way_in_to_a_run_leads_to_its_page(console: Console) -> None:
    """What is no run's id is not repeated in a command."""
    for run_id, command in ("k.20260101T000000Z.000000",) * 2, ("x; rm -rf", ""):
        _, text = await console.see(f"/api/console/runs/{run_id}")
        assert text.count(f"<code>{f'keyturn open {command}'.strip()}</code></p>") == 1


async def test_a_link_needs_a_name_and_a_run_that_there_is(console: Console) -> None:
    """The answers name what is missing."""
    for body, expected in ({}, 400), ({"requestedBy": "d", "runId": "k.20260101T000000Z.000000"}, 404):
        answer = await console.send("make_console_link", "POST", "/api/console/links", json.dumps(body).encode())
        assert answer.status_code == expected


async def test_where_people_sign_in_a_link_holds_no_token(console: Console) -> None:
    """The browser signs in there."""
    console.sign_in(Role.READER)

    assert await console.link() == f"{PUBLIC}/api/console"


@pytest.mark.parametrize(
    ("state", "roles", "offered"),
    [
        (State.NEEDS_ATTENTION, ROLES, {"retry", "abort"}),
        (State.NEEDS_ATTENTION, (Role.READER,), set()),
        (State.NEEDS_ATTENTION, (Role.REQUESTER, Role.APPROVER), set()),
        (State.AWAITING_APPROVAL, ROLES, {"abort"}),
        (State.WATCHING, ROLES, {"reinstate"}),
        (State.FAILED, ROLES, set()),
    ],
)
async def test_a_page_offers_what_the_role_and_the_state_allow(
    console: Console, state: State, roles: tuple[Role, ...], offered: set[str]
) -> None:
    """No button leads to a refusal that could be known before."""
    record = await console.run(state)
    console.sign_in(*roles)
    _, text = await console.see(f"/api/console/runs/{record.run_id}")

    assert set(re.findall(r"/api/console/orders/([a-z-]+)/", text)) == offered


async def test_an_order_is_taken_once_it_was_confirmed(console: Console) -> None:
    """In the name of the session; the browser is led back to the run."""
    record = await console.run(State.NEEDS_ATTENTION)
    await console.enter("olga@example.com")
    answer = await console.order("abort", record.run_id)

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/api/console/runs/{record.run_id}")
    found = await console.harness.runs.read(record.run_id)
    assert [(one.command, one.by) for one in found.commands] == [("abort", "olga@example.com")]


@pytest.mark.parametrize(
    ("form", "headers"),
    [("", {}), ("x.y", {}), (None, {"sec-fetch-site": "cross-site"}), (None, {"sec-fetch-site": "same-site"})],
    ids=["no token", "forged", "another site", "a neighbour"],
)
async def test_a_form_that_the_page_has_not_shown_changes_nothing(
    console: Console, form: str | None, headers: dict[str, str]
) -> None:
    """403, and no command in the record."""
    record = await console.run(State.NEEDS_ATTENTION)
    await console.enter()
    answer = await console.order("abort", record.run_id, form, **headers)

    assert answer.status_code == 403
    assert (await console.harness.runs.read(record.run_id)).commands == []


async def test_the_form_of_one_session_is_none_of_another(console: Console) -> None:
    """Also for the same order."""
    record = await console.run(State.NEEDS_ATTENTION)
    await console.enter()
    _, page = await console.see(f"/api/console/orders/abort/{record.run_id}", "confirm_console_order")
    [form] = re.findall(r'name="form" value="([^"]+)"', page)
    await console.enter()

    assert (await console.order("abort", record.run_id, form)).status_code == 403


async def test_a_role_that_may_not_order_is_refused_and_the_audit_has_it(console: Console) -> None:
    """At the form as at the question."""
    record = await console.run(State.NEEDS_ATTENTION)
    console.sign_in(Role.OPERATOR)
    _, page = await console.see(f"/api/console/orders/abort/{record.run_id}", "confirm_console_order")
    [form] = re.findall(r'name="form" value="([^"]+)"', page)
    console.sign_in(Role.READER)
    asked, _ = await console.see(f"/api/console/orders/abort/{record.run_id}", "confirm_console_order")
    answer = await console.order("abort", record.run_id, form)

    assert (asked, answer.status_code) == (403, 403)
    chain = await console.harness.runs.audit.read_chain(record.run_id)
    refused = [event["data"] for event in chain if event["type"].endswith("attempt_refused")]
    assert [(one["attempt"], one["by"]) for one in refused] == [("abort", "ada@example.com")]


@pytest.mark.parametrize(
    ("state", "order"),
    [(State.COMPLETED, "abort"), (State.SWEEPING, "retry"), (State.SWEEPING, "reinstate"), (State.SWEEPING, "start")],
)
async def test_a_button_of_an_old_page_asks_nothing_that_would_be_refused(
    console: Console, state: State, order: str
) -> None:
    """It says how the run stands, with a link to it, and there is no form."""
    record = await console.run(state)
    await console.enter()
    subject = console.harness.keyring if order == "start" else record.run_id
    status, text = await console.see(f"/api/console/orders/{order}/{subject}", "confirm_console_order")

    assert (status, "<form" in text) == (409, False)
    assert f"since {record.run_id} is {state.value}" in text
    assert f'href="/api/console/runs/{record.run_id}"' in text


async def test_a_run_that_there_is_not_leads_to_those_that_there_are(console: Console) -> None:
    """And not back to itself."""
    await console.enter()
    for run_id in ("k.20260101T000000Z.000000", HOSTILE.replace("/", "|")):
        status, text = await console.see(f"/api/console/runs/{run_id}")
        assert (status, "The run that this is about" in text) == (404, False)
        assert '<p><a href="/api/console">' in text


async def test_a_link_leads_to_no_other_site(console: Console) -> None:
    """Two slashes would make the first part of the path one."""
    link = await console.link(requestedBy="dana@example.com")
    token = link.partition("?")[2]
    opened = await console.send("show_console", "GET", f"////elsewhere.example/api/console?{token}")

    assert opened.headers["Location"] == "/elsewhere.example/api/console"


async def test_starting_from_a_form_twice_is_one_rotation(console: Console) -> None:
    """A second press of the button leads to the same run."""
    await console.enter()
    keyring = console.harness.keyring
    _, page = await console.see(f"/api/console/orders/start/{keyring}", "confirm_console_order")
    [form] = re.findall(r'name="form" value="([^"]+)"', page)

    led = {(await console.order("start", keyring, form)).headers["Location"] for _ in range(2)}
    [record] = await console.harness.runs.newest(keyring)
    assert led == {f"/api/console/runs/{record.run_id}"}
    assert (record.requested_by, record.reason, record.options.dry_run) == ("dana@example.com", "monthly", False)
