"""Retires the old versions in the same step that counts zero (count, disable, count again), and reinstates them.

A row that appears between the two counts was written under a version that is now disabled: everything is enabled again
at once. So is it after a second count that fails, and in a run that finds stale rows after an earlier run of it died.
Versions stay disabled only after a count that found no stale row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.contracts.base import RunRef
from keyturn.contracts.states import State
from keyturn.contracts.steps import RetireInput, RetireResult
from keyturn.deks.census import take_census
from keyturn.deks.store import DekStore
from keyturn.errors import InvariantError
from keyturn.key_vault.versions import MekVersions
from keyturn.runs.audit import audit_record, undone_retirement
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import check_token


@dataclass(frozen=True, slots=True)
class Retirement:
    """What the evidence allows to be retired, and what stands against it."""

    versions: Sequence[str]  # exactly those that the evidence names
    quarantined: int  # rows that could not be rewrapped: one of them is enough to retire nothing
    retain_until: datetime


async def retire_when_zero(
    request: RetireInput, retirement: Retirement, store: DekStore, versions: MekVersions
) -> RetireResult:
    """Disable the versions if no row needs them; the result's ``stale`` counts the rows that stood in the way.

    Raises:
        TransientError: the store or the vault failed; the step may be run again.
        InvariantError: the target version, or the newest one, is to be retired.
    """
    standing = max(await _stale(request, store), retirement.quarantined)
    if not standing:
        try:
            await versions.retire(
                retirement.versions,
                target_version=request.target_version,
                run_id=request.run.run_id,
                retain_until=retirement.retain_until,
            )
            standing = await _stale(request, store)
        except Exception:
            await versions.reinstate(request.run.run_id)
            raise
    if standing:
        undone = await versions.reinstate(request.run.run_id)
        return RetireResult(retired=[], stale=standing, undone=undone)
    return RetireResult(retired=list(retirement.versions), stale=0)


async def _stale(request: RetireInput, store: DekStore) -> int:
    return (await take_census(store, request.target_version, request.session_tokens)).stale


async def retire_approved(
    runs: RotationStore, store: DekStore, versions: MekVersions, request: RetireInput, now: datetime
) -> RetireResult:
    """Disable the versions that the approved evidence names, if no row needs them.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        InvariantError: the evidence in force is not the one that was approved.
        KeyturnError: of the kind that the store's or the vault's answer means.
    """
    record = await runs.read(request.run.run_id)
    check_token(record, request.run)
    _check_approved(record, request)
    result = await retire_when_zero(
        request,
        Retirement(
            versions=record.old_versions,
            quarantined=record.quarantined.count,
            retain_until=now + record.policy.retain,
        ),
        store,
        versions,
    )

    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, request.run)
        return record if record.retired == result.retired else record.changed(retired=result.retired)

    record = await runs.update(request.run.run_id, change)
    await audit_record(runs.audit, record, now)
    await runs.audit.append(request.run.run_id, undone_retirement(record, result.undone, now))
    return result


def _check_approved(record: RotationRecord, request: RetireInput) -> None:
    decision = record.decision
    approved = decision is not None and decision.decision == "approved"
    same = record.evidence_digest == request.evidence_digest == (decision.digest if decision is not None else None)
    if record.state is not State.RETIRING or not approved or not same:
        raise InvariantError(
            "nothing is retired without an approval of the evidence in force", rotationId=record.run_id
        )
    if record.evidence is None or record.evidence["oldVersions"] != record.old_versions:
        raise InvariantError("the evidence names other versions than the record", rotationId=record.run_id)


async def reinstate(runs: RotationStore, versions: MekVersions, ref: RunRef) -> list[str]:
    """Enable the versions that carry this rotation's retirement tag, and return them; twice is the same as once.

    The vault is asked first: enabling is what must happen, whatever becomes of the record.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        KeyturnError: of the kind that the vault's answer means.
    """
    enabled = await versions.reinstate(ref.run_id)

    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, ref)
        return record if record.reinstated == enabled else record.changed(reinstated=enabled)

    await runs.update(ref.run_id, change)
    return enabled
