"""Retires the old versions in the same step that counts zero (count, disable, count again), and reinstates them.

The vault knows no conditional write: a disable may arrive late, from a worker that froze or from a request in flight.
So the records say which versions are to be disabled, each change is bounded in time and followed by another look at the
record, and a retirement that is no longer in force is taken back by its run. A record is changed before the
vault is: where a rotation leaves ``retiring`` or ``watching`` for anything but ``completed``, its retirement is
withdrawn first.

A row that appears between the two counts was written under a version that is now disabled: everything is enabled again
at once. So is it after a second count that fails, and in a run that finds stale rows after an earlier run of it died.
Versions stay disabled only after a count that found no stale row.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from keyturn.contracts.base import Policy, RunRef
from keyturn.contracts.migrations import Rollback
from keyturn.contracts.states import State
from keyturn.contracts.steps import ReinstateInput, RetireInput, RetireResult
from keyturn.cosmos.state_container import until_won
from keyturn.deks.census import take_census
from keyturn.deks.store import DekStore
from keyturn.errors import FencedError, InvariantError, KeyturnError, NotSettledError
from keyturn.key_vault.versions import MekVersions
from keyturn.rotation.evidence import check_followed
from keyturn.rotation.unexplained import look_again
from keyturn.runs import audit, commands, record_parts
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import PAGE_MAX, EveryRun, RotationStore
from keyturn.runs.transitions import check_live, update_live

LOOKS_MAX = 5


def retirements_in_force(records: Iterable[RotationRecord]) -> dict[str, str]:
    """Return the versions that are to be disabled, each with its rotation: the newest that names a version decides.

    While a rotation is retiring, what it names may be enabled or disabled.
    """
    kept = dict[str, str]()
    for record in sorted(records, key=lambda record: record.fencing_token):
        for version in record.old_versions:
            kept.pop(version, None)
            if record.retirement_in_force and record.state is not State.RETIRING:
                kept[version] = record.run_id
    return kept


async def retire_approved(
    runs: RotationStore, store: DekStore, versions: MekVersions, request: RetireInput, now: datetime
) -> RetireResult:
    """Disable the versions that the approved evidence names, if no row needs them.

    The result's ``stale`` counts the rows that stood in the way, ``planted`` those that were changed beside the
    rotation, where the approver was told that there were none; ``withdrawn`` says that an operator ordered otherwise.

    Raises:
        FencedError: the retirement is not in force any more.
        InvariantError: the evidence in force is not the one that was approved, or a version in use is to be retired.
        KeyturnError: of the kind that the store's or the vault's answer means; the step may be run again.
    """
    record = await update_live(runs, request.run, lambda found: _claimed(found, request))
    if now < record.requested_at + record.policy.creation_settle:
        raise NotSettledError("what an earlier run asked of the vault may not have arrived", rotationId=record.run_id)
    planted = await look_again(store, record)
    result = await Retirement(runs, store, versions, request, record).when_zero(now + record.policy.retain, planted)

    def change(found: RotationRecord) -> RotationRecord:
        same = (found.retired, found.planted) == (result.retired, planted)
        return found if same else found.changed(retired=result.retired, planted=planted)

    record = await update_live(runs, request.run, change)
    await audit.audit_record(runs.audit, record, now)
    await runs.audit.append(request.run.run_id, audit.undone_retirement(record, result.undone, now))
    return result


def _claimed(record: RotationRecord, request: RetireInput) -> RotationRecord:
    """Return the record as it is; raises unless this very retirement is approved and under way."""
    step = record.retirement_step if request.step is None else request.step
    if record.step < step:
        raise NotSettledError("the state change before the retirement is not visible yet", rotationId=record.run_id)
    if record.state is not State.RETIRING or record.step != step:
        raise FencedError("the retirement is not under way any more", rotationId=record.run_id, holder=None)
    _check_approved(record, request)
    return record


def _check_approved(record: RotationRecord, request: RetireInput) -> None:
    evidence = record.approved_evidence(request.evidence_digest)
    same = evidence["oldVersions"] == record.old_versions and Policy.from_payload(evidence["policy"]) == record.policy
    if not same or record.evidence_frozen_at is None:
        text = "the evidence names other versions or another policy than the record"
        raise InvariantError(text, rotationId=record.run_id)
    check_followed(record, evidence, record.evidence_frozen_at)


class Retirement:
    """One attempt to retire the versions that a record names."""

    def __init__(
        self, runs: RotationStore, store: DekStore, versions: MekVersions, request: RetireInput, record: RotationRecord
    ) -> None:
        self._runs, self._store, self._versions = runs, store, versions
        self._request, self._record = request, record

    async def when_zero(self, retain_until: datetime, planted: record_parts.Provenance) -> RetireResult:
        """Disable the versions if no row needs them, and look afterwards whether that is still wanted."""
        standing = await self._standing()
        # The count may have taken long. Confirmed by a write: this is the newest record, whatever replica it came from.
        claimed = await update_live(
            self._runs, self._request.run, lambda found: _claimed(found, self._request), confirm=True
        )
        if standing:
            undone = await self._versions.reinstate(self._record.run_id)  # of an earlier run of this step, that died
            return RetireResult(retired=[], stale=standing, undone=undone)
        told: Mapping[str, Any] = self._record.evidence or {}
        if planted.count and not (told.get("planted") or {}).get("count"):
            return RetireResult(retired=[], stale=0, planted=planted.count)
        if not claimed.retirement_in_force:
            return RetireResult(retired=[], stale=0, withdrawn=True)
        try:
            await self._versions.retire(
                self._record.old_versions,
                target_version=self._request.target_version,
                run_id=self._record.run_id,
                retain_until=retain_until,
            )
            standing = await self._stale()
            await self._check_disabled()
            found = await _newest(self._runs, self._record.run_id)
        except Exception:
            await self._take_back()
            raise
        if standing:
            return RetireResult(retired=[], stale=standing, undone=await self._take_back())
        if not _is_wanted(found, self._record):
            return RetireResult(
                retired=[], stale=0, withdrawn=True, undone=await reinstated(self._runs, self._versions, found)
            )
        return RetireResult(retired=self._record.old_versions, stale=0)

    async def _check_disabled(self) -> None:
        """Raise NotSettledError where a late request of an earlier run has enabled one of the versions meanwhile."""
        states = await self._versions.states()
        if enabled := [version for version in self._record.old_versions if states[version].enabled]:
            raise NotSettledError("a version was enabled while it was being retired", versions=enabled)

    async def _take_back(self) -> list[str]:
        """Enable again what was disabled, unless another run of this step counted zero and the rotation went on."""
        try:
            found = await _newest(self._runs, self._record.run_id)
        except KeyturnError:
            await self._versions.reinstate(
                self._record.run_id
            )  # the store does not answer: no process can have gone on
            raise
        if not _is_wanted(found, self._record):
            return await reinstated(self._runs, self._versions, found)
        return await self._versions.reinstate(self._record.run_id) if found.state is State.RETIRING else []

    async def _standing(self) -> int:
        """Count the rows in the way: one that could not be rewrapped is enough to retire nothing."""
        return max(await self._stale(), self._record.quarantined.count)

    async def _stale(self) -> int:
        request = self._request
        return (await take_census(self._store, request.target_version, request.session_tokens)).stale


def _is_wanted(found: RotationRecord, claimed: RotationRecord) -> bool:
    """Tell whether the retirement that was claimed is still in force."""
    same = (found.fencing_token, found.retirement_step) == (claimed.fencing_token, claimed.retirement_step)
    return same and found.retirement_in_force


async def reinstated(runs: RotationStore, versions: MekVersions, record: RotationRecord) -> list[str]:
    """Enable what the rotation disabled, but for what a retirement in force keeps disabled, and return it.

    Raises:
        NotSettledError: retirements kept beginning.
    """
    for _ in range(LOOKS_MAX):
        enabled = await versions.reinstate(record.run_id, await kept_disabled(runs, record.keyring))
        # Another rotation may have begun to retire meanwhile, and have found them disabled.
        if (await kept_disabled(runs, record.keyring)).keys().isdisjoint(enabled):
            return enabled
    raise NotSettledError("retirements kept beginning while versions were enabled", rotationId=record.run_id)


async def kept_disabled(runs: RotationStore, keyring: str) -> dict[str, str]:
    """Return what is to be disabled, by the newest record of the newest rotation, for a query may lag."""
    newest, *others = await runs.newest(keyring, limit=PAGE_MAX)
    return retirements_in_force([await _newest(runs, newest.run_id), *others])


async def _newest(runs: RotationStore, run_id: str) -> RotationRecord:
    """Return the record as it is now, confirmed by a write, whatever replica it came from."""
    return await runs.update(run_id, lambda found: found, confirm=True)


async def reinstate(runs: RotationStore, versions: MekVersions, request: ReinstateInput, now: datetime) -> list[str]:
    """Withdraw the rotation's retirement, enable what it disabled, and return that; twice is the same as once.

    Raises:
        FencedError: the run has ended, or went on without this workflow.
        KeyturnError: of the kind that the vault's answer means.
    """
    if request.rotation is not None:
        return await _enable(runs, versions, await _withdraw_for(runs, request.run, request.rotation), now)

    def change(record: RotationRecord) -> RotationRecord:
        step = record.step if request.step is None else request.step
        return record if step <= record.withdrawn_step else record.changed(withdrawn_step=step)

    record = await update_live(runs, request.run, change, confirm=True)
    if request.step is not None and request.step < record.retirement_step:
        return []  # late: the rotation retires, or has retired, anew
    return await _enable(runs, versions, record, now, request.run)


async def _withdraw_for(runs: RotationStore, rollback: RunRef, rotation: RunRef) -> RotationRecord:
    """Withdraw the retirement of a rotation that is rolled back, in one write with its rollback, which must live."""
    store = EveryRun(runs.documents)

    async def attempt() -> RotationRecord | None:
        mine, found = await store.read(rollback.run_id), await runs.read(rotation.run_id)
        check_live(mine, rollback)
        _check_may_enable(mine, found)
        changed = found.changed(withdrawn_step=found.step)
        writes = [
            ("replace", (record.run_id, record.to_document()), {"if_match_etag": etag})
            for record, etag in ((mine, mine.etag), (changed, found.etag))
        ]
        return await runs.read(rotation.run_id) if await runs.documents.batch(rotation.keyring, writes) else None

    return await until_won(attempt, rotation.run_id)


def _check_may_enable(rollback: RunRecord, rotation: RotationRecord) -> None:
    """Raise InvariantError unless another person has approved that the rollback enables exactly what is retired."""
    work = rollback.work if isinstance(rollback, MigrationRecord) else None
    if not isinstance(work, Rollback) or not work.approval or not rotation.retirement_in_force:
        return  # nothing is retired, or a rollback that release 0.1 began
    evidence: Mapping[str, Any] = rollback.approved_evidence(rollback.evidence_digest or "")
    if {*evidence["versions"]} != {*rotation.retired}:
        raise InvariantError("other versions are retired than were approved to be enabled", rotationId=rotation.run_id)


async def order_reinstatement(
    runs: RotationStore, versions: MekVersions, run_id: str, *, by: str, now: datetime
) -> RotationRecord:
    """Take the retirement back because an operator says so, and return the record; twice is the same as once.

    Raises:
        CallerError: there is no such rotation.
        WrongStateError: it has retired nothing, or its retention is over.
        KeyturnError: of the kind that the vault's answer means; the order stands, and may be given again.
    """
    record = await commands.record_command(runs, run_id, "reinstate", by=by, now=now)
    await _enable(runs, versions, record, now)
    return await runs.read(run_id)


async def finish_orders(runs: RotationStore, versions: MekVersions, keyring: str, now: datetime) -> None:
    """Enable what was ordered to be, where the process that took the order died; raises as :func:`reinstate`."""
    for record in await runs.newest(keyring, limit=PAGE_MAX):
        if record.ended and record.retired and not record.reinstated and not record.retirement_in_force:
            await _enable(runs, versions, record, now)


async def _enable(
    runs: RotationStore, versions: MekVersions, record: RotationRecord, now: datetime, by: RunRef | None = None
) -> list[str]:
    enabled = await reinstated(runs, versions, record)

    def change(found: RotationRecord) -> RotationRecord:
        if by is not None:  # else it is an order, or a rollback, after the end
            check_live(found, by)
        return found if found.reinstated == enabled else found.changed(reinstated=enabled)

    await audit.audit_record(runs.audit, await runs.update(record.run_id, change), now)
    return enabled
