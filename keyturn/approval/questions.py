"""What an approver is asked, in plain words: of a rotation, whether to retire; of a migration, whether to enable."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keyturn.contracts.migrations import Rollback
from keyturn.ids import RunKind
from keyturn.runs.evidence_summary import findings_of, warnings_of
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord


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


def _enablement(record: RunRecord, evidence: dict[str, Any]) -> Question:
    rollback = isinstance(record, MigrationRecord) and isinstance(record.work, Rollback)
    return _rollback(record, evidence) if rollback else _restore(record, evidence)


def _rollback(record: RunRecord, evidence: dict[str, Any]) -> Question:
    census = evidence.get("census") or {}
    return Question(
        title=f"Enable retired versions of {record.keyring} for a rollback?",
        asked=f"{record.requested_by} asked that the rotation {evidence.get('rotationId')} be rolled back, which has "
        "retired versions. If you approve, these are enabled again and stay so, and the rows that it moved go back to "
        "them.",
        warnings=[],
        found=[
            f"{census.get('rewrapped')} of {census.get('total')} rows were moved by the rotation.",
            *_reason(evidence),
        ],
        heading="What would be enabled",
        versions=list(evidence.get("versions") or {}),
        name="Rollback",
        if_approved="The versions are enabled again, and the rows go back to them.",
        if_rejected="Nothing is enabled.",
    )


def _reason(evidence: Mapping[str, Any]) -> list[str]:
    return [f"The reason that was given: {evidence['reason']}"] if evidence.get("reason") else []


def _restore(record: RunRecord, evidence: dict[str, Any]) -> Question:
    rows = evidence.get("versions") or {}
    census = evidence.get("census") or {}
    return Question(
        title=f"Enable disabled versions of {record.keyring} for a restore?",
        asked=f"{record.requested_by} asked for this restore. Rows came back that name disabled versions, so they "
        "cannot be read. If you approve, these versions are enabled for as long as it takes to move their rows to the "
        "current version and to prove them, and disabled again.",
        warnings=[],
        found=[
            f"{sum(rows.values())} of {census.get('total')} rows name disabled versions.",
            f"They would be moved to version {evidence.get('targetVersion')}.",
            *_reason(evidence),
        ],
        heading="What would be enabled",
        versions=[f"{version}: {count} rows" for version, count in rows.items()],
        name="Restore",
        if_approved="The versions are enabled, their rows moved and proven, and the versions disabled again.",
        if_rejected="Nothing is enabled.",
    )


_QUESTIONS: Mapping[RunKind, Callable[[RunRecord, dict[str, Any]], Question]] = {
    RunKind.ROTATION: _retirement,
    RunKind.MIGRATION: _enablement,
}
