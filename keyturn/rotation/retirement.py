"""Retires the old versions in the same step that just counted zero: count, disable, count again.

A row that appears between the two counts was written under a version that is now disabled: everything is enabled again
at once. The same goes for a second count that fails, and for a run that finds stale rows after an earlier run of it has
died with versions disabled. So versions stay disabled only after a count that found no stale row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.contracts.lifecycle import RetireInput, RetireResult
from keyturn.dek_store.census import take_census
from keyturn.dek_store.store import DekStore
from keyturn.key_vault.versions import MekVersions


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
                rotation_id=request.rotation_id,
                retain_until=retirement.retain_until,
            )
            standing = await _stale(request, store)
        except Exception:
            await versions.reinstate(request.rotation_id)
            raise
    if standing:
        undone = await versions.reinstate(request.rotation_id)
        return RetireResult(retired=[], stale=standing, undone=undone)
    return RetireResult(retired=list(retirement.versions), stale=0)


async def _stale(request: RetireInput, store: DekStore) -> int:
    return (await take_census(store, request.target_version, request.session_tokens)).stale
