"""The events that a run's record tells of. A pure function of the record, so every reader of it finds the same."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from keyturn.audit.events import (
    UNEXPLAINED_MAX,
    AuditEvent,
    CheckWaived,
    CommandGiven,
    DecisionTaken,
    EventData,
    EvidenceFrozen,
    RowQuarantined,
    RowsUnexplained,
    StateChanged,
    VersionCreated,
    VersionsLent,
    VersionsReinstated,
    VersionsRetired,
    VersionsReturned,
)
from keyturn.migrations.record import MigrationRecord
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.states import State


def events_of(record: RunRecord, now: datetime) -> list[AuditEvent]:
    """Return everything that the record says has happened, in the order of time; ``now`` is for what it does not date.

    What the record forgets (evidence that is void, rows that a new sweep is to meet again) was still in it when the
    audit followed the change before.
    """
    events = [*_quarantined(record, now), *_states(record), *_people(record)]
    if isinstance(record, RotationRecord):
        events = [*_versions(record, now), *events, *_waived(record)]
    if isinstance(record, MigrationRecord):
        events = [*_loans(record, now), *events]
    return sorted(events, key=lambda event: event.at)


def _event(key: Iterable[object], at: datetime, data: EventData) -> AuditEvent:
    return AuditEvent(key=":".join(str(part) for part in key), at=at, data=data)


def _states(record: RunRecord) -> Iterator[AuditEvent]:
    for entry in record.history:
        data = StateChanged(
            source=entry.source, target=entry.target, step=entry.step, by=entry.actor, detail=entry.detail
        )
        yield _event(("state", entry.step), entry.at, data)


def _waived(record: RotationRecord) -> Iterator[AuditEvent]:
    if record.preflight is None:
        return
    waivers = {waiver.check: waiver for waiver in record.options.waivers}
    for check in record.preflight.checks:
        if check.outcome == "waived":
            waiver = waivers.get(check.name)
            by, why = (waiver.by, waiver.why) if waiver is not None else (None, None)
            data = CheckWaived(check=check.name, by=by, why=why, found=check.detail)
            yield _event(("waived", check.name), record.preflight.at, data)


def _people(record: RunRecord) -> Iterator[AuditEvent]:
    if record.evidence_digest is not None and record.evidence_frozen_at is not None:
        frozen = EvidenceFrozen(digest=record.evidence_digest, expires_at=record.approval_expires_at)
        yield _event(("evidence", record.evidence_digest), record.evidence_frozen_at, frozen)
    for decision in [*record.decisions, *([record.decision] if record.decision is not None else [])]:
        taken = DecisionTaken(
            decision=decision.decision, by=decision.by, digest=decision.digest, comment=decision.comment
        )
        yield _event(("decision", decision.digest), decision.at, taken)
    for number, command in enumerate(record.commands):
        given = CommandGiven(command=command.command, by=command.by, step=command.step)
        yield _event(("command", number), command.at, given)


def _quarantined(record: RunRecord, now: datetime) -> Iterator[AuditEvent]:
    # The same row in another sweep, or the same version in another attempt to retire it, is another event.
    sweep = max(_last(record, State.SWEEPING), _last(record, State.RUNNING))
    for row in record.quarantined.named:
        yield _event(("quarantined", sweep, row.reason, row.id), now, RowQuarantined(row=row))


def _versions(record: RotationRecord, now: datetime) -> Iterator[AuditEvent]:
    if record.target_version is not None:
        created = VersionCreated(version=record.target_version, replaces=record.old_versions)
        yield _event(("version", record.target_version), now, created)
    if record.provenance is not None and record.provenance.count:
        seen = record.provenance
        unexplained = RowsUnexplained(since=seen.since, count=seen.count, named=seen.named[:UNEXPLAINED_MAX])
        yield _event(("unexplained",), now, unexplained)
    attempt = _last(record, State.RETIRING)
    if record.retired:
        approved_by = record.decision.by if record.decision is not None else None
        retired = VersionsRetired(versions=record.retired, digest=record.evidence_digest, approved_by=approved_by)
        yield _event(("retired", attempt, *sorted(record.retired)), now, retired)
    if record.reinstated:
        reinstated = VersionsReinstated(versions=record.reinstated)
        yield _event(("reinstated", attempt, *sorted(record.reinstated)), now, reinstated)


def undone_retirement(record: RotationRecord, versions: list[str], now: datetime) -> list[AuditEvent]:
    """Return what a retirement leaves that was undone in the same step, because rows stood in its way."""
    if not versions:
        return []
    attempt, approved_by = _last(record, State.RETIRING), record.decision.by if record.decision is not None else None
    retired = VersionsRetired(versions=versions, digest=record.evidence_digest, approved_by=approved_by)
    return [
        _event(("undone", attempt, "retired", *sorted(versions)), now, retired),
        _event(("undone", attempt, "reinstated", *sorted(versions)), now, VersionsReinstated(versions=versions)),
    ]


def _loans(record: MigrationRecord, now: datetime) -> Iterator[AuditEvent]:
    if record.lent:
        approved_by = record.decision.by if record.decision is not None else None
        lent = VersionsLent(versions=record.lent, digest=record.evidence_digest, approved_by=approved_by)
        yield _event(("lent", record.frozen_at_step, *record.lent), now, lent)
    if record.returned:
        returned = VersionsReturned(versions=record.returned)
        yield _event(("returned", record.frozen_at_step, *record.returned), now, returned)


def _last(record: RunRecord, state: State) -> int:
    """Return the step at which the state was entered last, or 0."""
    return max((entry.step for entry in record.history if entry.target is state), default=0)
