"""Messages about migrations say what happened in words, and to an approver what is to be enabled."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.audit.chain import Head
from keyturn.contracts.base import Policy, RunRef
from keyturn.contracts.migrations import DecryptCheck, Encrypt, Reencrypt, Restore, RewrapDeks, Rollback, Work
from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.states import State
from keyturn.contracts.steps import NotifyInput
from keyturn.notifications.events import UNREADABLE
from keyturn.notifications.messages import compose
from keyturn.notifications.migration_messages import MIGRATION_MESSAGES
from keyturn.runs.record_parts import Command, Decision, HistoryEntry, Quarantined
from keyturn.runs.records import MigrationRecord

NOW = datetime(2026, 3, 1, 3, 0, 0, tzinfo=UTC)
MIGRATION = "notes.m.20260301T030000Z.abcdef"
ROTATION = RunRef(run_id="notes.20260301T020000Z.abcdef", keyring="notes", fencing_token=1)
WORKS: list[Work] = [
    RewrapDeks(new_version="f" * 32),
    Rollback(rotation=ROTATION, new_version="f" * 32),
    Restore(),
    Encrypt(containers=["notes"]),
    Reencrypt(containers=["notes"], target_keyring="notes"),
    DecryptCheck(containers=["notes"]),
]


def message(event: str, detail: str = "", work: Work = WORKS[2], **fields: Any) -> str:
    """Return title and body of the event's message."""
    record = MigrationRecord(
        run_id=MIGRATION,
        keyring="notes",
        history=[HistoryEntry(at=NOW, source=None, target=State.REQUESTED, step=0, actor="ada@example.com")],
        requested_by="ada@example.com",
        requested_at=NOW,
        policy=Policy(),
        instance_id="migration-notes",
        fencing_token=2,
        work=work,
        **fields,
    )
    notice = NotifyInput(
        run=RunRef(run_id=MIGRATION, keyring="notes", fencing_token=2), key="1.1", event=event, detail=detail
    )
    composed = compose(record, notice, "https://keyturn.example/", Head(7, "a" * 64))
    return f"{composed.title}\n{composed.body}"


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.kind)
@pytest.mark.parametrize("event", MIGRATION_MESSAGES)
def test_every_message_says_where_to_look(event: str, work: Work) -> None:
    """Whatever is known about a migration, its message has a title, a link to the report and the chain's head."""
    said = message(event, work=work)

    assert said.startswith("Keyturn: ")
    assert " of notes " in f"{said.partition(chr(10))[0]} "
    assert f"Report: https://keyturn.example/api/console/runs/{MIGRATION}" in said
    assert f"Audit chain: 7:{'a' * 64}" in said


@pytest.mark.parametrize("event", ["approval_wanted", "approval_reminder"])
def test_the_question_says_what_would_be_enabled(event: str) -> None:
    """Versions with their rows, where these go, who cannot decide, digest and expiry are in the question."""
    census = CensusResult(total=9, on_target=6, stale=3, unlabelled=0, foreign=0, by_version={"old": 3, "new": 6})
    found: dict[str, Any] = {
        "census": census,
        "versions": ["old"],
        "target_version": "new",
        "evidence_digest": "d" * 64,
    }

    said = message(event, **found, approval_expires_at=datetime(2026, 3, 8, 3, 0, tzinfo=UTC))

    for line in (
        "decision on the restore" if event == "approval_reminder" else "decide on the restore",
        "- old: 3 rows",
        "Current version: new",
        "only ada@example.com cannot",
        "Decide by: 8 March 2026 03:00 UTC",
        f"Evidence digest: {'d' * 64}",
    ):
        assert line in said


def test_what_stopped_it_and_who_ended_it_are_named() -> None:
    """Quarantined documents are named with their reason, and so is whoever aborted it or decided on it."""
    quarantined = Quarantined(count=1, named=[QuarantinedRow(id="notes/n-1", reason="tampered_field")])
    abort = Command(command="abort", by="ops@example.com", at=NOW, step=1)
    decision = Decision(decision="rejected", by="sam@example.com", digest="d" * 64, at=NOW, comment="not today")

    for event in ("needs_attention", UNREADABLE):
        assert "- notes/n-1: tampered_field" in message(event, "1 documents do not", quarantined=quarantined)
    assert "ops@example.com ended it" in message("aborted", commands=[abort])
    assert 'sam@example.com with the words "not today" rejected it' in message("rejected", decision=decision)


@pytest.mark.parametrize(("target", "times"), [("recovered", 1), ("notes", 0)])
def test_documents_that_moved_to_another_keyring_leave_one_behind(target: str, times: int) -> None:
    """Its rotations would go on and call people: the message says to take it out, and does not where it is in use."""
    said = message("completed", "9 documents were re-encrypted", Reencrypt(containers=["notes"], target_keyring=target))

    assert (said.count("take notes out of KEYTURN_KEYRINGS"), said.count("dek store of recovered")) == (times, times)
