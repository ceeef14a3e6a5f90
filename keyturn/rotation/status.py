"""What a caller sees of a rotation: an accepted start, a line of a list, its status. Unknown is null, never a guess."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from keyturn.contracts.base import Payload, RunId
from keyturn.contracts.pages import DEKS, PageResult
from keyturn.contracts.passes import CensusResult, Phase
from keyturn.contracts.states import State
from keyturn.ids import APPROVALS, report_link, run_link
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import Decision, Failure, MissingDek, PhaseProgress, Quarantined, StaleWriters
from keyturn.runs.records import RotationRecord

_PHASES: dict[State, Phase] = {State.SWEEPING: "sweep", State.SOAKING: "proof"}
# States that last for a time of the policy: what is waited for, and the policy's name of that time.
_TIMED = {State.SOAKING: ("the soak", "soak"), State.WATCHING: ("the trial period", "watch")}


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


class VaultUse(Payload):
    """What the pass under way takes of the vault, in operations a second."""

    budget: float  # what the run's policy allows in this phase; other runs of the vault may leave it less
    used: float | None  # on average since the pass began; null before its first page
    throttled: int  # 429 answers of the vault, over all passes of the phase


class WaitsFor(Payload):
    """What has to happen before the run goes on."""

    what: str
    person: bool = False  # nothing happens any more unless a person acts: no action is on its way
    # Null where nothing tells. A soak ends later where stale rows are met, or proving them takes longer.
    until: datetime | None = None


class Pace(Payload):
    """How fast a run goes, and what it waits for; shared by rotations and migrations."""

    phase: str  # sweep, proof or check while rows or documents are worked on, else the state
    percent: float | None
    rows_per_second: float | None
    eta_seconds: float | None
    vault: VaultUse | None  # null while nothing is asked of the vault for rows
    waits_for: WaitsFor | None


class Summary(Accepted):
    """A line of a list."""

    state: State
    rows: int  # rewrapped so far
    trigger: Literal["http", "schedule", "cli"]
    ended_at: datetime | None


class Status(Pace, Summary):
    """Where a rotation stands."""

    step: int
    reason: str
    detail: str  # what the last state change said: why a run was blocked, needs attention or was reinstated
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
    rows = record.totals("sweep").changed
    return record.shown_as(Summary, dry_run=record.options.dry_run, links=links(record), rows=rows)


def status(record: RotationRecord) -> Status:
    """Return where the rotation stands."""
    counts = counts_of(record)
    checks = record.preflight.checks if record.preflight is not None else []
    return record.shown_as(
        Status,
        dry_run=record.options.dry_run,
        links=links(record),
        rows=record.totals("sweep").changed,
        detail=record.history[-1].detail,
        **pace_of(record, _PHASES.get(record.state), counts),
        counts=counts,
        foreign=record.census.foreign if record.census is not None else None,
        failed_checks=[check.name for check in checks if check.outcome == "fail"],
    )


def pace_of(record: RunRecord, phase: Phase | None, counts: Mapping[Phase, Counts]) -> dict[str, Any]:
    """Return the members of ``Pace``; ``phase`` is what the run's state works on, None for any other state."""
    waiting = {"phase": phase or record.state.value, "waits_for": _waits_for(record)}
    if phase is None or phase not in counts:
        return {**waiting, **dict.fromkeys(("percent", "rows_per_second", "eta_seconds", "vault"))}
    progress = record.progress[phase]
    rate = _rate(progress, _worked_on(progress.current, progress))
    return {
        **waiting,
        "percent": counts[phase].percent,
        "rows_per_second": rate,
        "eta_seconds": None if rate is None else _eta(progress, rate),
        "vault": _vault_use(record, phase, progress),
    }


def _vault_use(record: RunRecord, phase: Phase, progress: PhaseProgress) -> VaultUse:
    share = record.policy.proof_share if phase == "proof" else 1.0
    return VaultUse(
        budget=round(record.policy.vault_operations_per_second * share, 2),
        used=_rate(progress, progress.current.vault_operations),
        throttled=progress.totals.throttled,
    )


def _waits_for(record: RunRecord) -> WaitsFor | None:
    state, decision = record.state, record.decision
    if record.abort is not None and not record.ended:
        return WaitsFor(what=f"the step under way to end, because {record.abort.by} has asked to abort")
    if state is State.NEEDS_ATTENTION:
        given = next((one.by for one in record.commands if (one.command, one.step) == ("retry", record.step)), None)
        what = f"the retry of {given} to take effect" if given else "an operator, to retry or to abort"
        return WaitsFor(what=what, person=given is None)
    if state is State.AWAITING_APPROVAL and decision is not None:
        return WaitsFor(what=f"the decision of {decision.by} to take effect")
    if state is State.AWAITING_APPROVAL:
        what = f"a decision by another person than {record.requested_by}"
        return WaitsFor(what=what, person=True, until=record.approval_expires_at)
    what, lasts = _TIMED.get(state, ("", ""))
    entered = record.entered_at(state)
    return WaitsFor(what=what, until=entered + getattr(record.policy, lasts)) if what and entered else None


def links(record: RunRecord) -> Links:
    """Return where to go from here."""
    approvals = APPROVALS if record.state is State.AWAITING_APPROVAL else None
    return Links(status=run_link(record.run_id), report=report_link(record.run_id), approvals=approvals)


def counts_of(record: RunRecord) -> dict[Phase, Counts]:
    """Return what was counted in each phase."""
    return {phase: _counts(record, phase, known) for phase, known in record.progress.items()}


def _counts(record: RunRecord, phase: Phase, progress: PhaseProgress) -> Counts:
    totals = record.totals(phase)
    done = _worked_on(totals, progress)
    known = {**dict(progress), **dict(totals), "percent": _percent(done, progress.rows_total)}
    return Counts.model_validate({name: known[name] for name in Counts.model_fields})


def _percent(done: int, total: int | None) -> float | None:
    if total is None:
        return None
    # More than all is possible: writers go on creating rows, and what was changed comes once more in the change feed.
    return 100.0 if total <= done else round(100 * done / total, 1)


def _worked_on(result: PageResult, progress: PhaseProgress) -> int:
    """Return how many rows the result has changed; of documents, how many the pass under way has looked at."""
    return result.changed if progress.source == DEKS else progress.scanned


def _rate(progress: PhaseProgress, done: int) -> float | None:
    """Return how many are done a second in the pass under way, or null where nothing tells."""
    elapsed = (progress.updated_at - progress.started_at).total_seconds()
    return round(done / elapsed, 2) if elapsed > 0 and done else None


def _eta(progress: PhaseProgress, rate: float) -> float | None:
    if progress.rows_total is None or rate <= 0:
        return None
    return round(max(0, progress.rows_total - _worked_on(progress.totals, progress)) / rate, 1)


class Report(Payload):
    """Everything that is known about one rotation: its status, and the record as it is kept."""

    status: Status
    evidence_intact: bool | None  # it hashes to its digest; null where there is none
    record: RotationRecord


def report(record: RotationRecord) -> Report:
    """Return the rotation's report."""
    return Report(status=status(record), evidence_intact=record.evidence_intact, record=record)
