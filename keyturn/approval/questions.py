"""What an approver is asked, in plain words: of a rotation, whether to retire; of a restore, whether to enable."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from keyturn.ids import RunKind
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
        warnings=list(_warnings(evidence)),
        found=list(_sentences(evidence)),
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


def _sentences(evidence: dict[str, Any]) -> Iterator[str]:
    census, proof = evidence.get("census") or {}, evidence.get("proof") or {}
    yield f"{census.get('onTarget')} of {census.get('total')} rows are on version {evidence.get('targetVersion')}."
    yield f"{census.get('stale')} rows are not, {evidence.get('quarantined')} cannot be moved."
    yield f"{evidence.get('foreign')} rows belong to other keys and were left alone."
    yield f"{proof.get('proven')} rows were opened with the new version and hold the same key as before."
    for name, what in (("canaries", "documents decrypt"), ("probes", "addresses of the backend answer")):
        tried = evidence.get(name) or []
        yield f"{sum(one['outcome'] == 'pass' for one in tried)} of {len(tried)} {what}."
    yield f"{(evidence.get('staleWriters') or {}).get('count')} rows were written under an old version meanwhile."
    if evidence.get("reason"):
        yield f"The reason that was given: {evidence['reason']}"


def _warnings(evidence: dict[str, Any]) -> Iterator[str]:
    for waived in evidence.get("waivedChecks") or []:
        said = f"The check {waived['check']} failed and was waived by {waived['by']}: {waived['why']}"
        yield f"{said} (found: {waived['detail']})"
    if warning := (evidence.get("proof") or {}).get("warning"):
        yield str(warning)
    if (provenance := evidence.get("provenance") or {}).get("count"):
        named = ", ".join(row["id"] for row in provenance["named"])
        yield (
            f"{provenance['count']} rows are not as the last rotation left them, and no run has changed them: {named}"
        )
