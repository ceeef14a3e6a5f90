"""What each page of the console shows, through its routes."""

import re
from html import unescape

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
    history = await console.see("/api/console/keyrings/absent", "show_console_keyring")

    assert status == history[0] == 200
    assert "How it stands cannot be told" in text
    assert keyring in text
    assert "It was never rotated." in history[1]  # which the database tells
    assert "They cannot be told: " in history[1]
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
    assert evidence[1].count(str(record.evidence_digest)) == 3  # bound, computed by us, and for the reader's browser
    assert "The evidence is what its digest names." in evidence[1]


@pytest.mark.parametrize("reason", ["another", 2**60], ids=["another", "no canonical form"])
async def test_evidence_that_was_changed_is_shown_as_such(console: Console, reason: str | int) -> None:
    """In words, with both digests; also where what it was given has none."""
    record = await console.run(State.AWAITING_APPROVAL)
    altered = {**(record.evidence or {}), "reason": reason}
    await console.harness.runs.update(record.run_id, lambda found: found.changed(evidence=altered))
    await console.enter()
    _, text = await console.see(f"/api/console/runs/{record.run_id}/evidence", "show_console_evidence")

    status, run = await console.see(f"/api/console/runs/{record.run_id}")

    assert "The evidence is not what its digest names" in text
    assert (status, "The evidence is not what its digest names" in run) == (200, True)


async def test_a_dek_is_diagnosed_by_operators(console: Console) -> None:
    """The form is filled in again, and the verdict has its next step."""
    await console.enter()
    path = f"/api/console/diagnosis?keyring={console.harness.keyring}&dek=no-such-dek"
    status, text = await console.see(path, "diagnose_in_console")
    console.sign_in(Role.READER)
    refused, reader = await console.see(path, "diagnose_in_console")

    assert (status, refused) == (200, 403)
    assert "Who administers the sign-in assigns roles" in reader
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
