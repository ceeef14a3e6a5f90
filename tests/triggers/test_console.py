"""The console through its routes: who gets in, what each page shows, and which orders are taken from whom."""

import json
import re
from html import unescape
from http.cookies import SimpleCookie

import pytest

from keyturn.access.roles import Role
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.runs.record_parts import (
    Check,
    Decision,
    Preflight,
    Provenance,
    Quarantined,
    RequestOptions,
    StaleWriters,
)
from tests.keyturn.access.principals import PERSON_ID
from tests.keyturn.runs.lifecycle import NOW
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
        assert text.count(f"keyturn open {command}".strip() + "</p>") == 1


async def test_a_link_needs_a_name_and_a_run_that_there_is(console: Console) -> None:
    """The answers name what is missing."""
    for body, expected in ({}, 400), ({"requestedBy": "d", "runId": "k.20260101T000000Z.000000"}, 404):
        answer = await console.send("make_console_link", "POST", "/api/console/links", json.dumps(body).encode())
        assert answer.status_code == expected


async def test_where_people_sign_in_a_link_holds_no_token(console: Console) -> None:
    """The browser signs in there."""
    console.sign_in(Role.READER)

    assert await console.link() == f"{PUBLIC}/api/console"


async def test_every_fact_of_a_run_is_on_its_page_as_text(console: Console) -> None:
    """Names, reasons, comments and ids of others are shown as they are, and none of them is markup."""
    decision = Decision(decision="rejected", by=f"sam {HOSTILE}", digest="d" * 64, at=NOW, comment=HOSTILE)
    row = QuarantinedRow(id=f"row {HOSTILE}", reason="unwrap_refused", mek_version="v1")
    checks = [
        Check(name="backup", outcome="waived", detail=HOSTILE),
        Check(name="mek", outcome="fail", hint="make one"),
    ]
    record = await console.run(
        State.NEEDS_ATTENTION,
        reason=f"why {HOSTILE}",
        requested_by=f"dana {HOSTILE}",
        decisions=[decision],
        quarantined=Quarantined(count=82, named=[row]),
        preflight=Preflight(at=NOW, checks=checks),
        stale_writers=StaleWriters(count=82, last_seen=NOW),
        provenance=Provenance(since=None, created=None, count=0, named=[]),
    )
    await console.enter()
    answer = await console.send("show_console_run", "GET", f"/api/console/runs/{record.run_id}")
    html = answer.get_body().decode()

    shown = HOSTILE.replace("\u202e", "\\u202e")
    text = unescape(html)
    for fact in (f"dana {shown}", f"why {shown}", f"sam {shown}", f"row {shown}", "unwrap refused", "82 rows were"):
        assert fact in text, fact
    assert "restore the row from a snapshot" in text
    assert "make one" in text
    assert not re.search(r"<script|<img|\u202e", html)
    assert answer.headers["Refresh"] == "5"
    assert f"/api/console/orders/abort/{record.run_id}" in html


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


async def test_what_is_wrong_stands_at_the_top_and_leads_to_what_to_do(console: Console) -> None:
    """Before the phases; what the links name is there."""
    row = QuarantinedRow(id="row", reason="unwrap_refused", mek_version="v1")
    checks = [Check(name="mek", outcome="fail", hint="make one")]
    record = await console.run(
        State.NEEDS_ATTENTION,
        quarantined=Quarantined(count=1_000, named=[row]),
        preflight=Preflight(at=NOW, checks=checks),
    )
    await console.enter()
    _, text = await console.see(f"/api/console/runs/{record.run_id}")

    top, _, rest = text.partition("<h2>Phases")
    for anchor in re.findall(r'href="#([a-z]+)"', top):
        assert f'id="{anchor}"' in rest
    assert "(1,000)" in top
    assert "These are the first 1." in rest
    assert top.count('href="#') == 2


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


async def test_home_shows_a_card_for_every_keyring(console: Console) -> None:
    """With the run at work, its link, and the version in force."""
    record = await console.run(State.AWAITING_APPROVAL)
    await console.enter()
    status, text = await console.see("/api/console", "show_console")

    assert status == 200
    assert f"/api/console/runs/{record.run_id}" in text
    assert console.harness.old in text
    assert "Waits for a decision by another person than ada@example.com" in text


async def test_a_card_says_what_is_in_order_too(console: Console) -> None:
    """Nothing passes by absence: that no drift was looked for, that it is not overdue, that it was never rotated."""
    await console.enter()
    _, text = await console.see("/api/console", "show_console")

    said = " ".join(re.sub("<[^>]*>", " ", text).split())
    for told in ("Overdue not known yet", "Drift not looked for yet", "Last rotation It was never rotated."):
        assert told in said
    assert "is loaded again every" not in said


async def test_a_card_keeps_the_last_result_beside_the_run_at_work(console: Console) -> None:
    """That of a rotation, also after a dry run; and while one is at work, the page can be kept from loading again."""
    keyring, runs = console.harness.keyring, console.harness.runs
    failed = await console.run(State.FAILED, ended_at=NOW)
    dry = await console.run(State.BLOCKED, ended_at=NOW, options=RequestOptions(dry_run=True))
    record = await console.run(State.SWEEPING)
    await console.enter()
    _, text = await console.see("/api/console", "show_console")
    _, kept = await console.see("/api/console?refresh=off", "show_console")

    assert [one.run_id for one in await runs.newest(keyring)] == [record.run_id, dry.run_id, failed.run_id]
    at_work, _, last = text.partition("Last rotation")
    assert record.run_id in at_work
    assert failed.run_id in last
    assert dry.run_id not in text
    assert 'href="?refresh=off"' in text
    assert "This page stays as it is." in kept


async def test_a_keyring_that_cannot_be_read_says_so(console: Console) -> None:
    """And the page is there."""
    await console.enter()
    keyring = console.harness.keyring
    described = console.harness.resources.settings.keyrings[0]
    absent = described.model_copy(update={"name": "absent", "mek_name": "no-such-mek"})
    console.set(keyrings=[described, absent])
    status, text = await console.see("/api/console", "show_console")

    assert status == 200
    assert "How it stands cannot be told" in text
    assert keyring in text
    opened = console.harness.resources.keyring("absent")
    await opened.mek.close()
    await opened.keys.close()


async def test_a_page_that_is_typed_into_is_not_loaded_again(console: Console) -> None:
    """Also while a run is at work: what was typed would be gone."""
    record = await console.run(State.SWEEPING)
    await console.enter()
    for path, function, again in (
        ("", "show_console", True),
        (f"/runs/{record.run_id}", "show_console_run", True),
        (f"/orders/abort/{record.run_id}", "confirm_console_order", False),
        ("/diagnosis", "diagnose_in_console", False),
    ):
        answer = await console.send(function, "GET", f"/api/console{path}")
        page = answer.get_body().decode()
        assert (answer.status_code, "Refresh" in answer.headers) == (200, again), path
        assert ("<textarea" in page or "<input" in page) <= (not again), path


async def test_history_and_evidence_are_pages(console: Console) -> None:
    """The evidence whole, with its digest as it is bound and as it is computed now."""
    record = await console.run(State.AWAITING_APPROVAL)
    await console.enter()
    history = await console.see(f"/api/console/keyrings/{console.harness.keyring}", "show_console_keyring")
    evidence = await console.see(f"/api/console/runs/{record.run_id}/evidence", "show_console_evidence")

    assert history[0] == evidence[0] == 200
    assert record.run_id in history[1]
    assert console.harness.old in history[1]
    assert evidence[1].count(str(record.evidence_digest)) == 2
    assert "The evidence is what its digest names." in evidence[1]


async def test_evidence_that_was_changed_is_shown_as_such(console: Console) -> None:
    """In words, with both digests."""
    record = await console.run(State.AWAITING_APPROVAL)
    altered = {**(record.evidence or {}), "reason": "another"}
    await console.harness.runs.update(record.run_id, lambda found: found.changed(evidence=altered))
    await console.enter()
    _, text = await console.see(f"/api/console/runs/{record.run_id}/evidence", "show_console_evidence")

    assert "The evidence is not what its digest names" in text


async def test_a_dek_is_diagnosed_by_operators(console: Console) -> None:
    """The form is filled in again, and the verdict has its next step."""
    await console.enter()
    path = f"/api/console/diagnosis?keyring={console.harness.keyring}&dek=no-such-dek"
    status, text = await console.see(path, "diagnose_in_console")
    console.sign_in(Role.READER)
    refused, _ = await console.see(path, "diagnose_in_console")

    assert (status, refused) == (200, 403)
    assert '<p class="verdict fail">row missing' in text
    assert "never point the document at another dekId" in text


async def test_a_chain_that_was_changed_is_shown_as_broken(console: Console) -> None:
    """And the page is there all the same."""
    record = await console.run(State.AWAITING_APPROVAL)
    documents = console.harness.resources.records
    found = await documents.read_item(f"{record.run_id}:audit:00000001", console.harness.keyring)
    await documents.replace_item(found["id"], {**found, "event": {**found["event"], "data": "gone"}})
    await console.enter()
    status, text = await console.see(f"/api/console/runs/{record.run_id}")

    assert status == 200
    assert "The chain does not hold: line 1 is changed" in text


APPROVER = {"keyturn_approvers": [PERSON_ID], "keyturn_public_url": "https://app.example"}


@pytest.mark.parametrize(
    ("roles", "requested_by_id", "offered"),
    [
        ((Role.APPROVER,), None, True),
        ((Role.APPROVER,), PERSON_ID, False),
        ((Role.OPERATOR,), None, False),
        (None, None, False),
    ],
    ids=["an approver", "the requester", "no approver", "a session in the approver's name"],
)
async def test_an_approver_who_signs_in_finds_their_own_link(
    console: Console, roles: tuple[Role, ...] | None, requested_by_id: str | None, *, offered: bool
) -> None:
    """It is for the person that the platform vouches for, and for nobody who only states a name."""
    console.set(keyturn_links_without_sign_in=True, **APPROVER)
    record = await console.run(State.AWAITING_APPROVAL, requested_by="dana", requested_by_id=requested_by_id)
    if roles is None:
        await console.enter(PERSON_ID)
    else:
        console.sign_in(*roles)
    _, text = await console.see(f"/api/console/runs/{record.run_id}")

    assert (f"https://app.example/api/rotations/{record.run_id}/approval?token=" in text) is offered
    assert ("Approvers decide by a link of their own" in text) is not offered
