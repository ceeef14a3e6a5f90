"""What a caller sees of a migration. Unknown is null, never a guess."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from keyturn.contracts.base import Payload
from keyturn.contracts.migrations import Work
from keyturn.contracts.passes import CensusResult, Phase
from keyturn.contracts.states import State
from keyturn.ids import APPROVALS, run_link
from keyturn.rotation.status import Counts, Links, counts_of
from keyturn.runs.record_parts import Decision, Failure, Quarantined
from keyturn.runs.records import MigrationRecord


class MigrationSummary(Payload):
    """A line of a list, and the answer to a start."""

    migration_id: str
    keyring: str
    kind: str
    state: State
    dry_run: bool
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None
    clean: bool | None  # ended well, and nothing is quarantined: the answer of a check; null until the end
    links: Links


class MigrationStatus(MigrationSummary):
    """Where a migration stands."""

    step: int
    reason: str
    detail: str  # what the last state change said
    work: Work
    counts: dict[Phase, Counts]
    census: CensusResult | None
    target_version: str | None  # of a restore, as are the next three: where its rows go
    versions: list[str]  # disabled versions that rows were found to name
    temporarily_enabled: Annotated[list[str], Field(alias="lent")]  # those that were enabled for it
    disabled_again: Annotated[list[str], Field(alias="returned")]  # those that were disabled again
    quarantined: Quarantined
    evidence_digest: str | None
    approval_expires_at: datetime | None
    decision: Decision | None
    error: Failure | None


class MigrationReport(Payload):
    """Everything that is known about one migration."""

    status: MigrationStatus
    record: MigrationRecord


def migration_summary(record: MigrationRecord) -> MigrationSummary:
    """Return the migration as a line of a list."""
    link = run_link(record.run_id)
    waiting = record.state is State.AWAITING_APPROVAL
    return MigrationSummary(
        migration_id=record.run_id,
        keyring=record.keyring,
        kind=record.work.kind,
        state=record.state,
        dry_run=record.dry_run,
        requested_by=record.requested_by,
        requested_at=record.requested_at,
        ended_at=record.ended_at,
        clean=record.state is State.COMPLETED and not record.quarantined.count if record.ended else None,
        links=Links(status=link, report=f"{link}/report", approvals=APPROVALS if waiting else None),
    )


def migration_status(record: MigrationRecord) -> MigrationStatus:
    """Return where the migration stands."""
    return MigrationStatus(
        **dict(migration_summary(record)),
        step=record.step,
        reason=record.reason,
        detail=record.history[-1].detail,
        work=record.work,
        counts=counts_of(record),
        census=record.census,
        target_version=record.target_version,
        versions=record.versions,
        temporarily_enabled=record.temporarily_enabled,
        disabled_again=record.disabled_again,
        quarantined=record.quarantined,
        evidence_digest=record.evidence_digest,
        approval_expires_at=record.approval_expires_at,
        decision=record.decision,
        error=record.error,
    )


def migration_report(record: MigrationRecord) -> MigrationReport:
    """Return the migration's report."""
    return MigrationReport(status=migration_status(record), record=record)
