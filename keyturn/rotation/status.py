"""What a caller sees of a rotation: an accepted start, a line of a list, its status. Unknown is null, never a guess."""

from datetime import datetime
from typing import Literal

from keyturn.contracts.base import Payload, RunId
from keyturn.contracts.pages import DEKS
from keyturn.contracts.passes import CensusResult, Phase
from keyturn.contracts.states import State
from keyturn.ids import APPROVALS, report_link, run_link
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import Decision, Failure, MissingDek, PhaseProgress, Quarantined, StaleWriters
from keyturn.runs.records import RotationRecord

_PHASES: dict[State, Phase] = {State.SWEEPING: "sweep", State.SOAKING: "proof"}


class Links(Payload):
    """Where to go from here; ``approvals`` takes a signed decision while one is waited for."""

    status: str
    report: str
    approvals: str | None = None


class Accepted(Payload):
    """The answer to a start. It holds nothing that changes, so that a repeated request gets the very same answer."""

    run_id: RunId
    keyring: str
    requested_by: str
    requested_at: datetime
    dry_run: bool
    links: Links


class Counts(Payload):
    """Rows and calls of one phase, over all its passes."""

    source: str  # what the pass under way goes over: the dek store (~deks), or a container of documents
    pass_number: int
    wave: int
    scanned: int  # in the pass under way
    changed: int  # rewrapped, or proven; of documents: encrypted, re-encrypted, or found to decrypt
    unchanged: int
    gone: int
    quarantined: int
    conflicts: int
    throttled: int
    vault_operations: int
    rows_total: int | None  # rows that the phase began with; of documents: how many the container holds
    percent: float | None  # changed of the rows; of documents: looked at in the pass under way
    updated_at: datetime


class Summary(Accepted):
    """A line of a list."""

    state: State
    trigger: Literal["http", "schedule", "cli"]
    ended_at: datetime | None


class Status(Summary):
    """Where a rotation stands."""

    step: int
    reason: str
    detail: str  # what the last state change said: why a run was blocked, needs attention or was reinstated
    phase: str  # sweep or proof while rows are worked on, else the state
    percent: float | None
    rows_per_second: float | None
    eta_seconds: float | None
    counts: dict[Phase, Counts]
    census: CensusResult | None
    quarantined: Quarantined
    foreign: int | None
    stale_writers: StaleWriters
    failed_checks: list[str]
    references: list[MissingDek]  # the first documents that name DEKs which the store lacks
    old_versions: list[str]
    target_version: str | None
    retired: list[str]
    reinstated: list[str]
    evidence_digest: str | None
    approval_expires_at: datetime | None
    decision: Decision | None
    error: Failure | None


def accepted(record: RotationRecord) -> Accepted:
    """Return the answer to the request that started this rotation."""
    there = Links(status=run_link(record.run_id), report=report_link(record.run_id))
    return record.shown_as(Accepted, dry_run=record.options.dry_run, links=there)


def summary(record: RotationRecord) -> Summary:
    """Return the rotation as a line of a list."""
    return record.shown_as(Summary, dry_run=record.options.dry_run, links=links(record))


def status(record: RotationRecord) -> Status:
    """Return where the rotation stands."""
    phase = _PHASES.get(record.state)
    progress = record.progress.get(phase) if phase is not None else None
    counts = counts_of(record)
    rate = None if progress is None else _rate(progress)
    checks = record.preflight.checks if record.preflight is not None else []
    return record.shown_as(
        Status,
        dry_run=record.options.dry_run,
        links=links(record),
        detail=record.history[-1].detail,
        phase=phase or record.state.value,
        percent=counts[phase].percent if phase in counts else None,
        rows_per_second=rate,
        eta_seconds=None if phase is None or rate is None else _eta(counts[phase], rate),
        counts=counts,
        foreign=record.census.foreign if record.census is not None else None,
        failed_checks=[check.name for check in checks if check.outcome == "fail"],
    )


def links(record: RunRecord) -> Links:
    """Return where to go from here."""
    approvals = APPROVALS if record.state is State.AWAITING_APPROVAL else None
    return Links(status=run_link(record.run_id), report=report_link(record.run_id), approvals=approvals)


def counts_of(record: RunRecord) -> dict[Phase, Counts]:
    """Return what was counted in each phase."""
    return {phase: _counts(record, phase, known) for phase, known in record.progress.items()}


def _counts(record: RunRecord, phase: Phase, progress: PhaseProgress) -> Counts:
    totals = record.totals(phase)
    done = totals.changed if progress.source == DEKS else progress.scanned
    known = {**dict(progress), **dict(totals), "percent": _percent(done, progress.rows_total)}
    return Counts.model_validate({name: known[name] for name in Counts.model_fields})


def _percent(done: int, total: int | None) -> float | None:
    if total is None:
        return None
    # More than all is possible: writers go on creating rows, and what was changed comes once more in the change feed.
    return 100.0 if total <= done else round(100 * done / total, 1)


def _rate(progress: PhaseProgress) -> float | None:
    """Return the rows changed a second in the pass under way, or null where nothing tells."""
    elapsed = (progress.updated_at - progress.started_at).total_seconds()
    return round(progress.current.changed / elapsed, 2) if elapsed > 0 and progress.current.changed else None


def _eta(counts: Counts, rate: float) -> float | None:
    if counts.rows_total is None or rate <= 0:
        return None
    return round(max(0, counts.rows_total - counts.changed) / rate, 1)


class Report(Payload):
    """Everything that is known about one rotation: its status, and the record as it is kept."""

    status: Status
    evidence_intact: bool | None  # it hashes to its digest; null where there is none
    record: RotationRecord


def report(record: RotationRecord) -> Report:
    """Return the rotation's report."""
    return Report(status=status(record), evidence_intact=record.evidence_intact, record=record)
