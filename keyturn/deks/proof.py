"""Proves a page of rewrapped rows: each is unwrapped with the new version, and its DEK compared with its key check.

A row that fails gets its previous wrap back, if that unwraps under its own version to the DEK of the key check: a wrap
is never replaced by one that was not tried. Either way the row is quarantined.
"""

from field_encrypt.row_states import QuarantineReason, Row, before_rewrap
from field_encrypt.unwrapping import Unwrapped
from keyturn.contracts.pages import PageInput, PageResult, RowRef
from keyturn.deks.page import PageDependencies, PageWork
from keyturn.deks.scan import is_rewrapped
from keyturn.deks.store import Outcome
from keyturn.errors import ResourceMissingError

# A row that was found as rewrapped and is read as something else may come from a lagging replica: seconds to wait
# before it is read again. In one region replicas are behind by milliseconds.
LAG_SECONDS = (0.5, 1.0, 2.0)
NOT_THE_ROWS_FAULT = frozenset({QuarantineReason.VERSION_DISABLED, QuarantineReason.UNKNOWN_VERSION})


async def prove_page(request: PageInput, dependencies: PageDependencies) -> PageResult:
    """Prove the rows that the page names; ``changed`` counts the proven ones.

    Raises:
        TransientError: the store or the vault failed; the page may be run again.
        OperatorError: a right is missing, or the target version is disabled or gone.
    """
    work = PageWork(request, dependencies)
    return await work.run(lambda ref: _prove(ref, work))


async def _prove(ref: RowRef, work: PageWork) -> None:
    async def attempt() -> Outcome:
        row = await _read_lagging(ref, work)
        if row is None:
            return Outcome.GONE
        if not is_rewrapped(row, work.request.run.run_id):
            return Outcome.UNCHANGED
        if (failure := await _failure(row, work)) is None:
            return Outcome.CHANGED
        undone = await _undo(row, work)
        return undone if undone in (Outcome.GONE, Outcome.AGAIN) else work.quarantine(row.id, failure, row.version)

    await work.settle(ref.id, attempt, QuarantineReason.TOO_MANY_RACES)


async def _read_lagging(ref: RowRef, work: PageWork) -> Row | None:
    """Read the row, again for some seconds while it is not one that was put onto the target."""
    row = await work.read(ref)
    for seconds in LAG_SECONDS:
        if row is not None and is_rewrapped(row, work.request.run.run_id):
            break
        await work.clock.sleep(seconds)
        row = await work.read(ref)
    return row


async def _failure(row: Row, work: PageWork) -> QuarantineReason | None:
    unwrapped = await work.unwrap(row)
    if isinstance(unwrapped, Unwrapped):
        # A rewrap always writes the key check: a row without one has lost it since.
        return None if row.key_check is not None else QuarantineReason.MALFORMED_KEY_CHECK
    if unwrapped.reason in NOT_THE_ROWS_FAULT:
        raise ResourceMissingError(
            "the target version is disabled or gone", resource=f"MEK version {work.request.target_version}"
        )
    return unwrapped.reason


async def _undo(row: Row, work: PageWork) -> Outcome:
    previous = before_rewrap(row, work.store.keyring, work.request.target_version)
    if previous and isinstance(await work.unwrap(previous), Unwrapped):
        return await work.written(work.store.exchange, row, work.request.run.fencing_token)
    return Outcome.UNCHANGED
