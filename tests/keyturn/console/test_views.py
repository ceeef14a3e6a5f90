"""What the console shows, made from records: checks, rows, the chain, and what may be ordered."""

from datetime import timedelta
from typing import Any

import pytest

from field_encrypt.mek_versions import MekVersionProperties
from field_encrypt.row_states import QuarantineReason
from keyturn.audit.chain import canonical, head_of, link
from keyturn.audit.events import AuditEvent, CommandGiven
from keyturn.console.keyring_pages import run_line, version_lines
from keyturn.console.orders import ORDERS, orders_on_run
from keyturn.console.run_page import chain_of, run_page
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.diagnosis.models import NEXT_STEPS
from keyturn.documents.errors import DocumentReason
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import (
    Canary,
    Check,
    Command,
    MissingDek,
    Plan,
    Preflight,
    Probe,
    Quarantined,
    RequestOptions,
    StaleWriters,
    Waiver,
)
from tests.keyturn.console.runs_shown import LATER, MINUTE, VISITOR, migrated, progress, went
from tests.keyturn.runs.lifecycle import CENSUS, NOW, PATHS


def test_every_reason_of_a_quarantine_has_a_next_step() -> None:
    """Of rows and of documents."""
    assert set(NEXT_STEPS) == {*QuarantineReason, *DocumentReason}


def test_the_page_of_a_run_holds_what_its_record_holds() -> None:
    """Checks with who waived them, rows with their next steps, stale writers, rates."""
    checks = [Check(name="backup", outcome="waived", detail="none found"), Check(name="mek_size", outcome="pass")]
    waiver = Waiver(check="backup", by="ada", why="drill was yesterday")
    plan = Plan(rows=10, rows_by_version={"old": 10}, vault_operations=10)
    record = went(
        *PATHS[State.SWEEPING],
        options=RequestOptions(waivers=[waiver]),
        preflight=Preflight(at=NOW, checks=checks, plan=plan),
        census=CENSUS,
        target_version="new",
        progress={"sweep": progress(20, 100)},
        stale_writers=StaleWriters(count=1, last_seen=NOW),
        quarantined=Quarantined(count=1, named=[QuarantinedRow(id="r1", reason="version_disabled")]),
        canaries=[Canary(container="notes", document_id="n1", partition=None, outcome="fail", detail="no")],
        probes=[Probe(url="https://backend.example/health", outcome="pass", status=200)],
        references=[MissingDek(container="notes", document_id="n2", dek_id="d2")],
    )
    page = run_page(record, [], VISITOR, LATER)

    assert [(one.mark, one.name) for one in page.checks] == [
        *(("waived", "backup"), ("pass", "mek size"), ("fail", "canary notes/n1")),
        *(("pass", "probe https://backend.example/health"), ("fail", "document notes/n2")),
    ]
    assert page.checks[0].detail == "none found Waived by ada: drill was yesterday"
    assert [(bar.version, bar.before, bar.now) for bar in page.bars] == [("old", 10, 0), ("new", 0, 10)]
    assert page.pace[:3] == ["100 of 200 done in sweep, pass 1", "5.0 rows a second", "about 20 s left"]
    assert page.stale_writers.startswith("1 row was written under an old version")
    assert page.quarantined[0].next_step.endswith(f": keyturn restore --keyring {record.keyring}")
    assert (page.quarantined[0].dek, page.items) == (True, "Rows")
    assert page.active


def test_a_document_is_no_dek_to_be_diagnosed() -> None:
    """Its id names its container too."""
    over = progress(1).model_copy(update={"source": "notes"})
    found = Quarantined(count=1, named=[QuarantinedRow(id="notes/n1", reason="tampered_field")])
    page = run_page(migrated(State.RUNNING, progress={"sweep": over}, quarantined=found), [], VISITOR, LATER)

    assert (page.quarantined[0].dek, page.items) == (False, "Documents")
    assert page.title == "Migration (restore) of default: running"


@pytest.mark.parametrize(
    ("record", "offered"),
    [
        (went(*PATHS[State.SWEEPING]), ["abort"]),
        (went(*PATHS[State.NEEDS_ATTENTION]), ["retry", "abort"]),
        (went(*PATHS[State.NEEDS_ATTENTION], target_version="new"), ["retry", "abort", "rollback"]),
        (went(*PATHS[State.WATCHING], target_version="new"), ["reinstate"]),
        (went(*PATHS[State.COMPLETED], target_version="new", ended_at=NOW), ["reinstate", "rollback"]),
        (went(*PATHS[State.COMPLETED], ended_at=NOW - timedelta(days=31)), []),
        (migrated(State.RUNNING), ["abort"]),
        (migrated(State.RUNNING, State.NEEDS_ATTENTION), ["retry", "abort"]),
        (migrated(State.RUNNING, State.COMPLETED), []),
    ],
    ids=lambda value: value.state if isinstance(value, RunRecord) else "",
)
def test_orders_follow_the_state(record: RunRecord, offered: list[str]) -> None:
    """What a run does not take is not offered."""
    assert [order.name for order in orders_on_run(record, VISITOR, LATER)] == offered


@pytest.mark.parametrize(
    ("state", "command"), [(State.SWEEPING, "abort"), (State.NEEDS_ATTENTION, "abort"), (State.WATCHING, "reinstate")]
)
def test_what_was_ordered_is_not_offered_again(state: State, command: str) -> None:
    """It is on its way."""
    given = Command.model_validate({"command": command, "by": "olga", "at": NOW, "step": 1})

    assert orders_on_run(went(*PATHS[state], commands=[given]), VISITOR, LATER) == []


def test_every_order_says_what_follows_and_asks_about_its_subject() -> None:
    """In its question and in sentences."""
    assert all("{subject}" in order.question and order.follows for order in ORDERS.values())


def chain(count: int) -> list[bytes]:
    """Return the lines of an unbroken chain."""
    events: list[dict[str, Any]] = []
    run_id, last = "k.20260301T030000Z.abcdef", None
    for number in range(count):
        given = CommandGiven(command="retry", by=f"olga {number}", step=number)
        events.append(link(run_id, AuditEvent(key=f"command:{number}", at=NOW, data=given), last))
        last = head_of(events[-1])
    return [canonical(event) for event in events]


def test_a_chain_is_shown_with_its_head_and_its_events() -> None:
    """Of a long one the newest."""
    shown = chain_of(chain(203))

    assert (shown.broken, shown.omitted, len(shown.events)) == ("", 3, 200)
    assert shown.head.startswith("203:")
    assert (shown.events[0].sequence, shown.events[-1].what) == ("4", "command given")
    assert shown.events[-1].facts == "by: olga 202, command: retry, step: 202"
    assert chain_of([]).head == "none yet"


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"time": 1, "data": {}}', b"\xff", b'{"data": "x"}'])
def test_a_line_that_is_no_event_breaks_the_chain_and_not_the_page(line: bytes) -> None:
    """It is shown as what it is."""
    first, _, third = chain(3)
    shown = chain_of([first, line, third])

    assert shown.broken.startswith("line 2 is unreadable")
    assert shown.events[1].what == "unreadable"


def test_a_line_of_the_timeline_says_what_became_of_a_run() -> None:
    """And of one that goes on, how far it is and what it waits for."""
    ended = run_line(went(*PATHS[State.COMPLETED], ended_at=NOW + 8 * MINUTE), LATER)
    waiting = run_line(went(*PATHS[State.NEEDS_ATTENTION]), LATER)

    assert (ended.mark, ended.outcome, ended.waits_for) == ("pass", "completed, 8 min after it was asked for", "")
    assert (waiting.mark, waiting.what, waiting.state) == ("look", "rotation", "needs attention")
    assert "operator" in waiting.waits_for


def test_versions_say_who_retired_them() -> None:
    """Newest first, and until when they are kept."""

    def version(name: str, *, enabled: bool, **tags: str) -> MekVersionProperties:
        ends = {"not_before": None, "expires_on": None}
        named = {"mek_name": "mek", "version": name, "key_id": f"https://vault.example/keys/mek/{name}"}
        return MekVersionProperties(**named, **ends, enabled=enabled, created_on=NOW, tags=tags)

    retired = {"keyturn-retired-by": "run-2", "keyturn-retain-until": "2026-04-01"}
    states = {
        "one": version("one", enabled=False, **retired),
        "two": version("two", enabled=False),
        "three": version("three", enabled=True, **{"keyturn-rotation": "run-2"}),
    }
    lines = version_lines(states, "three")

    assert [(line.version, line.state, line.by, line.retired_by, line.kept_until) for line in lines] == [
        ("three", "in force", "run-2", "", ""),
        ("two", "disabled", "", "", ""),
        ("one", "retired", "", "run-2", "2026-04-01"),
    ]
