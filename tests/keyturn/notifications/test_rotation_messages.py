"""Messages say what happened in words, with everything that an approver needs, and nothing that is secret."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.audit.chain import Head
from keyturn.contracts.pages import UnexplainedRow
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.steps import FreezeInput, NotifyInput
from keyturn.notifications.events import DRIFT, DRILL_FAILED, EVENTS, UNREADABLE
from keyturn.notifications.messages import compose
from keyturn.notifications.migration_messages import MIGRATION_MESSAGES
from keyturn.notifications.rotation_messages import ALTERED, ROTATION_MESSAGES
from keyturn.rotation.evidence import build_evidence
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import (
    Check,
    Decision,
    Preflight,
    Proof,
    Provenance,
    RequestOptions,
    StaleWriters,
    Waiver,
)
from keyturn.runs.records import RotationRecord
from tests.keyturn.runs.lifecycle import NOW, make_record

CENSUS = CensusResult(total=1250, on_target=1240, stale=0, unlabelled=0, foreign=10, by_version={"new": 1240})
EVIDENCE: dict[str, Any] = {
    "census": CENSUS,
    "proof": Proof(mode="all", proven=1240, quarantined=0, gone=2),
    "stale_writers": StaleWriters(count=3, last_seen=NOW),
    "old_versions": ["old1", "old2"],
    "target_version": "new",
    "evidence_digest": "d" * 64,
    "approval_expires_at": datetime(2026, 3, 8, 3, 0, tzinfo=UTC),
    "options": RequestOptions(waivers=[Waiver(check="backup", by="ada@example.com", why="it is a copy")]),
    "preflight": Preflight(
        at=NOW,
        checks=[
            Check(name="backup", outcome="waived", detail="no policy"),
            Check(name="mek_usable", outcome="fail", detail="it has expired", hint="make a new version"),
        ],
    ),
}


def message(event: str, detail: str = "", **fields: Any) -> str:
    """Return title and body of the event's message about a record whose evidence was frozen."""
    record = make_record(**fields)
    if record.census is not None and record.target_version is not None:
        writers = record.stale_writers
        freeze = FreezeInput(
            run=record.ref,
            target_version=record.target_version,
            census=record.census,
            stale_writers=writers.count,
            last_stale_write=writers.last_seen,
            expires_at=NOW,
        )
        proof = None if record.proof is None else record.proof.to_payload()
        record = record.changed(evidence={**build_evidence(record, freeze), "proof": proof})
    return text(record, event, detail)


def text(record: RotationRecord, event: str, detail: str = "") -> str:
    """Return title and body of the event's message about this record."""
    notice = NotifyInput(run=record.ref, key="1.1", event=event, detail=detail)
    composed = compose(record, notice, "https://keyturn.example/", Head(7, "a" * 64))
    return f"{composed.title}\n{composed.body}"


def test_every_event_has_a_message() -> None:
    """The tables of messages have exactly the events that there are, but for what is about no run.

    Only a check of documents tells one of its own.
    """
    assert set(EVENTS) - {DRIFT, DRILL_FAILED} == {*ROTATION_MESSAGES, *MIGRATION_MESSAGES}
    assert MIGRATION_MESSAGES.keys() - ROTATION_MESSAGES.keys() == {UNREADABLE}


@pytest.mark.parametrize("event", ROTATION_MESSAGES)
def test_every_message_says_where_to_look(event: str) -> None:
    """Whatever is known about a rotation, its message has a title, a link to the report and the audit chain's head."""
    record = make_record()

    said = text(record, event)

    assert said.startswith("Keyturn: ")
    assert f"Report: https://keyturn.example/api/console/runs/{record.run_id}" in said
    assert f"Audit chain: 7:{'a' * 64}" in said


def test_evidence_that_was_changed_is_said_first() -> None:
    """Whoever is asked must not read on as if nothing was wrong; an unchanged one says nothing of it."""
    record = make_record()
    frozen = record.changed(evidence={"quarantined": 0}, evidence_digest=digest_of({"quarantined": 0}))

    assert ALTERED not in text(frozen, "approval_wanted")
    assert ALTERED in text(frozen.changed(evidence={"quarantined": 1}), "approval_wanted")


@pytest.mark.parametrize("event", ["approval_wanted", "approval_reminder"])
def test_the_question_holds_the_evidence_in_short(event: str) -> None:
    """Rows, proof, stale writers, waived checks, versions, digest and expiry are in the question for approval."""
    said = message(event, **EVIDENCE)

    for line in (
        "4 things to look at. Everything has moved",
        "- pass: 1,240 of 1,250 rows are on the new version, 0 on an old one, and none is quarantined; 10 of other",
        "- pass: 1,240 rows opened with the new version, each to the same key (every rewrapped row)",
        "- look: 3 rows were still written under an old version, the last on 1 March 2026 03:00 UTC",
        "If approved: What such a writer creates after the retirement cannot be read",
        "- look: The check backup failed and was waived by ada@example.com: it is a copy (found: no policy",
        "- look: Rows that were changed beside this rotation: not known",
        "New version: new",
        "To be retired: old1, old2",
        "Decide by: 8 March 2026 03:00 UTC",
        f"Evidence digest: {'d' * 64}",
        "only ada@example.com cannot",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("provenance", "said"),
    [
        (None, "not known"),
        (
            Provenance(since=None, created=None, count=0, named=[]),
            "none seen, with no earlier rotation to compare with",
        ),
        (Provenance(since="r", created=3, count=0, named=[]), "none"),
        (
            Provenance(
                since="r",
                created=3,
                count=6,
                named=[UnexplainedRow(id=f"row{number}", reason="changed") for number in range(6)],
            ),
            "6 (row0, row1, row2, row3, row4, ...)",
        ),
    ],
)
def test_unexplained_rows_are_in_the_question(provenance: Provenance | None, said: str) -> None:
    """Whoever decides learns of rows that somebody has changed, by name, without opening the page."""
    line = f"Rows that no run has left as they are: {said}."

    assert line in message("approval_wanted", **EVIDENCE, provenance=provenance)


def test_rows_that_were_not_proven_are_said_loudly() -> None:
    """Evidence without a proof does not look like one."""
    proof = Proof(mode="unsafe_off", proven=0, quarantined=0, gone=0, warning="rewrapped rows were not proven")

    assert "- look: No row was proven: rewrapped rows were not proven" in message(
        "approval_wanted", **{**EVIDENCE, "proof": proof}
    )


def test_a_blocked_rotation_says_what_to_do() -> None:
    """Each failed check is named with what was found and what fixes it."""
    assert "- mek_usable: it has expired. make a new version" in message("blocked", **EVIDENCE)


def test_a_decision_names_who_decided() -> None:
    """The decision's message has the name and the words of whoever decided."""
    decision = Decision(decision="rejected", by="grace@example.com", digest="d" * 64, at=NOW, comment="not today")

    assert 'grace@example.com with the words "not today" rejected it' in message("rejected", decision=decision)
