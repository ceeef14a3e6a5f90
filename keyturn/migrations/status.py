"""What a caller sees of a migration. Unknown is null, never a guess."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from keyturn.contracts.base import Payload
from keyturn.contracts.migrations import Work
from keyturn.contracts.passes import CensusResult, Phase
from keyturn.contracts.states import State
from keyturn.rotation.status import Counts, Links, Pace, counts_of, links, pace_of
from keyturn.runs.record_parts import Decision, Failure, Plan, Quarantined
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
    rows: int  # rows or documents that were changed so far, or looked at by a check
    clean: bool | None  # ended well, and nothing is quarantined: the answer of a check; null until the end
    links: Links


class MigrationStatus(Pace, MigrationSummary):
    """Where a migration stands."""

    step: int
    reason: str
    detail: str  # what the last state change said
    work: Work
    plan: Plan | None  # of a dry run that makes DEKs: what a rotation takes afterwards
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
    evidence_intact: bool | None  # it hashes to its digest; null where there is none
    record: MigrationRecord


def migration_summary(record: MigrationRecord) -> MigrationSummary:
    """Return the migration as a line of a list."""
    return record.shown_as(MigrationSummary, **_derived(record))


def migration_status(record: MigrationRecord) -> MigrationStatus:
    """Return where the migration stands."""
    counts = counts_of(record)
    newest = max(record.progress, key=lambda phase: record.progress[phase].updated_at, default=None)
    pace = pace_of(record, newest if record.state is State.RUNNING else None, counts)
    return record.shown_as(MigrationStatus, **_derived(record), **pace, detail=record.history[-1].detail, counts=counts)


def _derived(record: MigrationRecord) -> dict[str, Any]:
    clean = record.state is State.COMPLETED and not record.quarantined.count if record.ended else None
    rows = record.totals("sweep" if "sweep" in record.progress else "check").changed
    named = {"migration_id": record.run_id, "kind": record.work.kind}
    return {**named, "rows": rows, "clean": clean, "links": links(record)}


def migration_report(record: MigrationRecord) -> MigrationReport:
    """Return the migration's report."""
    return MigrationReport(status=migration_status(record), evidence_intact=record.evidence_intact, record=record)
