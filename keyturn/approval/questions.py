"""What an approver is asked, in plain words, and what came of it.

Of a rotation, whether to retire; of a migration, whether to enable.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keyturn.contracts.migrations import Rollback
from keyturn.contracts.states import State
from keyturn.ids import RunKind
from keyturn.runs.evidence_summary import moment, state_in_words
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord


class Question(NamedTuple):
    """The words of the page, all of them text."""

    title: str
    asked: str
    heading: str  # over the versions
    versions: dict[str, int | None]  # that are disabled or enabled, with the rows that name each where these are told
    name: str  # of what is decided on
    if_approved: str
    if_rejected: str
    if_ignored: str
    back: bool = False  # rows go to these versions, and not from them


class Outcome(NamedTuple):
    """What came of a question, in words."""

    title: str
    happened: str
    follows: str


def outcome_of(record: RunRecord, digest: str, message_id: str) -> Outcome | None:
    """Return what came of the question on the evidence of this digest, for the holder of the link of this id.

    None where it can still be decided on, or where other evidence is to be.
    """
    question = question_of(record)
    decision = next((taken for taken in record.taken if taken.digest == digest), None)
    ended = f"The {question.name.lower()} is {state_in_words(record.state)}"
    since = f"{ended} since {moment(record.ended_at)}." if record.ended else ""
    if decision is not None:
        you = "You have" if decision.webhook_id == message_id else f"{decision.by} has"
        words = f' with the words "{decision.comment}"' if decision.comment else ""
        follows = question.if_approved if decision.decision == "approved" else question.if_rejected
        if decision is not record.decision:
            follows = "It does not hold any more: something was found after it. What is to be decided on is sent anew."
        return Outcome(
            title=f"{you} {decision.decision} {record.run_id}",
            happened=f"{decision.by} {decision.decision} it on {moment(decision.at)}{words}.",
            follows=since or follows,
        )
    if record.ended:
        return Outcome(f"There is nothing to decide on {record.run_id}", "Nobody decided on this evidence.", since)
    if record.abort is not None:
        asked = f"{record.abort.by} asked on {moment(record.abort.at)} to end it."
        return Outcome(f"{record.run_id} is being ended", asked, "Every version stays enabled that is enabled now.")
    if record.state is not State.AWAITING_APPROVAL and digest == record.evidence_digest:
        return Outcome(f"There is nothing to decide on {record.run_id}", f"{ended}.", "You are asked again if need be.")
    return None


def question_of(record: RunRecord) -> Question:
    """Return the question that the record's evidence asks."""
    return _QUESTIONS[record.kind](record, dict(record.evidence or {}))


def _retirement(record: RunRecord, evidence: dict[str, Any]) -> Question:
    return Question(
        title=f"Retire old versions of {record.keyring}?",
        asked=f"{record.requested_by} asked for this rotation. Every row was moved to a new version of the key.",
        heading="Old versions and the new one",
        versions=dict.fromkeys(evidence.get("oldVersions", [])),
        name="Rotation",
        if_approved="Rows are counted once more, and the old versions are disabled. Nothing is deleted, and they can "
        "be enabled again.",
        if_rejected="Nothing is disabled: every version stays enabled, and the rows stay on the new one.",
        if_ignored=f"{_until(record)} every version stays enabled, and the rotation has to be started again.",
    )


def _until(record: RunRecord) -> str:
    return f"A decision is waited for until {moment(record.approval_expires_at)}. After that"


def _enablement(record: RunRecord, evidence: dict[str, Any]) -> Question:
    rollback = isinstance(record, MigrationRecord) and isinstance(record.work, Rollback)
    return _rollback(record, evidence) if rollback else _restore(record, evidence)


def _rollback(record: RunRecord, evidence: dict[str, Any]) -> Question:
    return Question(
        title=f"Enable retired versions of {record.keyring} for a rollback?",
        asked=f"{record.requested_by} asked that the rotation {evidence.get('rotationId')} be rolled back, which has "
        "retired versions.",
        heading="Versions to enable, and the one that rows leave",
        versions=evidence.get("versions") or {},
        name="Rollback",
        if_approved="The versions are enabled again and stay so, and the rows that the rotation moved go back to them.",
        if_rejected="Nothing is enabled, and the rows stay where they are.",
        if_ignored=f"{_until(record)} nothing is enabled, and the rollback has to be started again.",
        back=True,
    )


def _restore(record: RunRecord, evidence: dict[str, Any]) -> Question:
    return Question(
        title=f"Enable disabled versions of {record.keyring} for a restore?",
        asked=f"{record.requested_by} asked for this restore. Rows came back that name disabled versions, so they "
        "cannot be read.",
        heading="Versions to enable, and the one that rows move to",
        versions=evidence.get("versions") or {},
        name="Restore",
        if_approved="The versions are enabled for as long as it takes to move their rows to the current version and "
        "to prove them, and disabled again.",
        if_rejected="Nothing is enabled, and the rows cannot be read.",
        if_ignored=f"{_until(record)} nothing is enabled, and the restore has to be started again.",
    )


_QUESTIONS: Mapping[RunKind, Callable[[RunRecord, dict[str, Any]], Question]] = {
    RunKind.ROTATION: _retirement,
    RunKind.MIGRATION: _enablement,
}
