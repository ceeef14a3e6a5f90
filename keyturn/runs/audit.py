"""What a run leaves in its audit chain, and the anchor of that chain in the vault.

A writer of the database can rewrite a whole chain so that it verifies. The chain's head in the tags of the version that
a rotation made, which takes a right on the vault to change, then names an event that is not there.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from keyturn.audit import events
from keyturn.audit.chain import Head, head_of
from keyturn.audit.events import AuditEvent
from keyturn.audit.log import AuditLog
from keyturn.contracts.states import State
from keyturn.errors import BrokenChainError, CallerError, KeyturnError, ResourceMissingError, UnknownRotationError
from keyturn.ids import keyring_of
from keyturn.key_vault.versions import ROTATION_TAG, MekVersions
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import Runs

# Callers of the API must not be able to make a chain grow without end: refusals beyond this are only logged.
EVENTS_MAX = 1000
HEAD_TAG = "keyturn-audit-head"
HEAD_OF_TAG = "keyturn-audit-head-of"  # the rotation whose head that is: who adopts a version writes its own
MIGRATION_HEAD_TAG = "keyturn-migration-audit-head"  # <migration id>:<head>, at most 100 + 1 + 86 of 256 characters

_log = logging.getLogger(__name__)


async def audit_record(audit: AuditLog, record: RunRecord, now: datetime) -> Head | None:
    """Append what the record says has happened and the chain does not have yet, and return the chain's head.

    Called after every change of the record. What one caller died before appending, the next one appends.

    Raises:
        LostRaceError: others kept appending.
    """
    return await audit.append(record.run_id, events_of(record, now))


def events_of(record: RunRecord, now: datetime) -> list[AuditEvent]:
    """Return everything that the record says has happened, in the order of time; ``now`` is for what it does not date.

    What the record forgets (evidence that is void, rows that a new sweep is to meet again) was still in it when the
    audit followed the change before.
    """
    told = [*_quarantined(record, now), *_states(record), *_decisions(record)]
    # isinstance, not ``kind``: the type checker must know the record whose own fields are read.
    if isinstance(record, RotationRecord):
        told = [*_versions(record, now), *told, *_waived(record)]
    if isinstance(record, MigrationRecord):
        told = [*_temporary_enablement(record, now), *told]
    return sorted(told, key=lambda event: event.at)


def _event(key: Iterable[object], at: datetime, data: events.EventData) -> AuditEvent:
    return AuditEvent(key=":".join(str(part) for part in key), at=at, data=data)


def _states(record: RunRecord) -> Iterator[AuditEvent]:
    for entry in record.history:
        yield _event(("state", entry.step), entry.at, entry.shown_as(events.StateChanged, by=entry.actor))


def _waived(record: RotationRecord) -> Iterator[AuditEvent]:
    if record.preflight is None:
        return
    waivers = {waiver.check: waiver for waiver in record.options.waivers}
    for check in record.preflight.checks:
        if check.outcome == "waived":
            waiver = waivers.get(check.name)
            by, why = (waiver.by, waiver.why) if waiver is not None else (None, None)
            data = events.CheckWaived(check=check.name, by=by, why=why, found=check.detail)
            yield _event(("waived", check.name), record.preflight.at, data)


def _decisions(record: RunRecord) -> Iterator[AuditEvent]:
    if record.evidence_digest is not None and record.evidence_frozen_at is not None:
        frozen = events.EvidenceFrozen(digest=record.evidence_digest, expires_at=record.approval_expires_at)
        yield _event(("evidence", record.evidence_digest), record.evidence_frozen_at, frozen)
    for decision in record.taken:
        yield _event(("decision", decision.digest), decision.at, decision.shown_as(events.DecisionTaken))
    for number, command in enumerate(record.commands):
        yield _event(("command", number), command.at, command.shown_as(events.CommandGiven))


def _quarantined(record: RunRecord, now: datetime) -> Iterator[AuditEvent]:
    # The same row in another sweep, or the same version in another attempt to retire it, is another event.
    sweep = max(record.last_step(State.SWEEPING), record.last_step(State.RUNNING))
    for row in record.quarantined.named:
        yield _event(("quarantined", sweep, row.reason, row.id), now, events.RowQuarantined(row=row))


def _versions(record: RotationRecord, now: datetime) -> Iterator[AuditEvent]:
    if record.target_version is not None:
        created = events.VersionCreated(version=record.target_version, replaces=record.old_versions)
        yield _event(("version", record.target_version), now, created)
    looks = {("unexplained",): record.provenance, ("planted", record.last_step(State.SOAKING)): record.planted}
    for key, seen in looks.items():
        if seen is not None and seen.count:
            first = seen.named[: events.UNEXPLAINED_MAX]
            yield _event(key, now, seen.shown_as(events.RowsUnexplained, named=first))
    attempt = record.retirement_step
    if record.retired:
        yield _retired(("retired", attempt), record, record.retired, now)
    if record.reinstated:
        yield _reinstated(("reinstated", attempt), record.reinstated, now)


def _retired(key: tuple[object, ...], record: RotationRecord, versions: list[str], now: datetime) -> AuditEvent:
    data = events.VersionsRetired(versions=versions, digest=record.evidence_digest, approved_by=record.decided_by)
    return _event((*key, *sorted(versions)), now, data)


def _reinstated(key: tuple[object, ...], versions: list[str], now: datetime) -> AuditEvent:
    return _event((*key, *sorted(versions)), now, events.VersionsReinstated(versions=versions))


def undone_retirement(record: RotationRecord, versions: list[str], now: datetime) -> list[AuditEvent]:
    """Return what a retirement leaves that was undone in the same step, because rows stood in its way."""
    if not versions:
        return []
    attempt = record.retirement_step
    retired = _retired(("undone", attempt, "retired"), record, versions, now)
    return [retired, _reinstated(("undone", attempt, "reinstated"), versions, now)]


def _temporary_enablement(record: MigrationRecord, now: datetime) -> Iterator[AuditEvent]:
    if record.temporarily_enabled:
        enabled = events.VersionsTemporarilyEnabled(
            versions=record.temporarily_enabled, digest=record.evidence_digest, approved_by=record.decided_by
        )
        yield _event(("lent", record.frozen_at_step, *record.temporarily_enabled), now, enabled)
    if record.disabled_again:
        disabled = events.VersionsDisabledAgain(versions=record.disabled_again)
        yield _event(("returned", record.frozen_at_step, *record.disabled_again), now, disabled)


async def record_refusal[R: RunRecord](
    runs: Runs[R], run_id: str, attempt: events.Attempt, error: KeyturnError, *, by: str | None, now: datetime
) -> None:
    """Append the refused attempt to the run's chain; the same refusal within one minute is one event.

    Never fails: the caller is answered with the refusal itself. A refusal without a chain, because there is no such
    run or the database is away, is in the log.
    """
    refused = type(error).__name__
    try:
        keyring_of(run_id)
    except UnknownRotationError:
        _log.warning("refused to %s what is no run: %s", attempt, refused)
        return
    facts = {"rotationId": run_id, "attempt": attempt, "error": refused}
    _log.warning("refused to %s %s: %s", attempt, run_id, refused, extra={"custom_dimensions": facts})
    try:
        data = events.AttemptRefused(attempt=attempt, by=by, error=refused, detail=error.message)
        told = _event(("refused", attempt, refused, by or "", f"{now:%Y%m%dT%H%M}"), now, data)
        await runs.audit.append(run_id, [told], limit=EVENTS_MAX)
    except KeyturnError as failure:
        _log.error("the refusal is not in the audit chain of %s: %s", run_id, type(failure).__name__)


@asynccontextmanager
async def audit_refusals[R: RunRecord](
    runs: Runs[R], run_id: str, attempt: events.Attempt, *, by: str | None, now: datetime
) -> AsyncIterator[None]:
    """Record what is refused within, and raise it on; one of these around another would record it twice."""
    try:
        yield
    except CallerError as error:
        await record_refusal(runs, run_id, attempt, error, by=by, now=now)
        raise


async def anchor(audit: AuditLog, versions: MekVersions, record: RunRecord) -> None:
    """Write the chain's head into the tags of a key version, where the database's writers cannot change it.

    A rotation's is on the version that it made, once there is one. A migration's is on the MEK's newest version, with
    its id, and stays until the next migration writes its own.

    Never fails a run: a vault that is away leaves the earlier anchor, which still holds for what it was written for,
    and the next state change writes a newer one. What went wrong is in the log.
    """
    try:
        if isinstance(record, MigrationRecord):
            await _write(audit, versions, record.run_id, await versions.current(), named=f"{record.run_id}:")
        elif isinstance(record, RotationRecord) and record.target_version is not None:
            await _write(audit, versions, record.run_id, record.target_version, others=record.adopted)
    except KeyturnError as error:
        name = type(error).__name__
        _log.error("the audit chain of %s was not anchored: %s: %s", record.run_id, name, error.message)


async def anchored_head(versions: MekVersions, run_id: str, version: str | None) -> Head | None:
    """Return the head of this run's chain as the tags of the MEK have it, or None where none has it (any more).

    ``version`` is what the chain says that the rotation made or adopted; without it, the version that names the run. A
    version that another rotation has adopted has that one's head.

    Raises:
        InvalidRequestError: a tag holds no head.
        KeyturnError: of the kind that the vault's refusal means.
    """
    states = await versions.states()
    for name, found in states.items():
        own = name == version if version is not None else found.tags.get(ROTATION_TAG) == run_id
        own = own and found.tags.get(HEAD_OF_TAG, run_id) == run_id
        if own and (written := found.tags.get(HEAD_TAG)):
            return Head.parse(written)
        if (written := found.tags.get(MIGRATION_HEAD_TAG, "")).startswith(f"{run_id}:"):
            return Head.parse(written.removeprefix(f"{run_id}:"))
    return None


async def _write(
    audit: AuditLog,
    versions: MekVersions,
    run_id: str,
    version: str | None,
    *,
    named: str = "",
    others: Sequence[str] = (),
) -> None:
    if (found := (await versions.states()).get(version or "")) is None:
        raise ResourceMissingError("the MEK has no such version", resource="MEK", version=version)
    tag = MIGRATION_HEAD_TAG if named else HEAD_TAG
    head, written = await audit.head(run_id), found.tags.get(tag, "")
    if head is None:
        return
    if written.startswith(named) and written:  # of this very run
        earlier = Head.parse(written.removeprefix(named))
        if await _bearing_out(audit, [run_id, *others], earlier) == run_id and earlier.sequence >= head.sequence:
            return
    await versions.tag(found, {tag: f"{named}{head}", **({} if named else {HEAD_OF_TAG: run_id})})


async def _bearing_out(audit: AuditLog, run_ids: Iterable[str], earlier: Head) -> str:
    """Return the run whose chain has the anchored event: the version's own, or one whose version was adopted.

    Raises:
        BrokenChainError: none has it; overwriting would hide that a chain was rewritten.
    """
    for run_id in run_ids:
        found = await audit.read_chain(run_id, after=earlier.sequence - 1, limit=1)
        if [earlier] == [head_of(event) for event in found]:
            return run_id
    raise BrokenChainError(f"event {earlier.sequence} is not the one in the tag", sequence=earlier.sequence)
