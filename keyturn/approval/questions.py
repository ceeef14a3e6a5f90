"""What an approver is asked, in plain words: of a rotation, whether to retire; of a restore, whether to enable."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keyturn.ids import RunKind
from keyturn.runs.evidence_summary import findings_of, warnings_of
from keyturn.runs.record import RunRecord


class Question(NamedTuple):
    """The words of the page, all of them text."""

    title: str
    asked: str
    warnings: list[str]
    found: list[str]
    heading: str  # over the versions
    versions: list[str]
    name: str  # of what is decided on
    if_approved: str
    if_rejected: str


def question_of(record: RunRecord) -> Question:
    """Return the question that the record's evidence asks."""
    return _QUESTIONS[record.kind](record, dict(record.evidence or {}))


def _retirement(record: RunRecord, evidence: dict[str, Any]) -> Question:
    return Question(
        title=f"Retire old versions of {record.keyring}?",
        asked=f"{record.requested_by} asked for this rotation. Every row was moved to a new version of the key. If you "
        "approve, the old versions are disabled; nothing is deleted, and they can be enabled again.",
        warnings=list(warnings_of(evidence)),
        found=list(findings_of(evidence)),
        heading="What would be disabled",
        versions=evidence.get("oldVersions", []),
        name="Rotation",
        if_approved="After a last count the old versions are disabled.",
        if_rejected="Nothing is disabled.",
    )


def _restore(record: RunRecord, evidence: dict[str, Any]) -> Question:
    rows = evidence.get("versions") or {}
    census = evidence.get("census") or {}
    reason = evidence.get("reason")
    return Question(
        title=f"Enable disabled versions of {record.keyring} for a restore?",
        asked=f"{record.requested_by} asked for this restore. Rows came back that name disabled versions, so they "
        "cannot be read. If you approve, these versions are enabled for as long as it takes to move their rows to the "
        "current version and to prove them, and disabled again.",
        warnings=[],
        found=[
            f"{sum(rows.values())} of {census.get('total')} rows name disabled versions.",
            f"They would be moved to version {evidence.get('targetVersion')}.",
            *([f"The reason that was given: {reason}"] if reason else []),
        ],
        heading="What would be enabled",
        versions=[f"{version}: {count} rows" for version, count in rows.items()],
        name="Restore",
        if_approved="The versions are enabled, their rows moved and proven, and the versions disabled again.",
        if_rejected="Nothing is enabled.",
    )


_QUESTIONS: Mapping[RunKind, Callable[[RunRecord, dict[str, Any]], Question]] = {
    RunKind.ROTATION: _retirement,
    RunKind.MIGRATION: _restore,
}
