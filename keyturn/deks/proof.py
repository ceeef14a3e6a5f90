"""Proves a page of rewrapped rows: each is unwrapped with the new version, and its DEK compared with its key check.

A row that fails gets its previous wrap back, if that unwraps under its own version to the DEK of the key check: a wrap
is never replaced by one that was not tried. Either way the row is quarantined.
"""

from typing import override

from field_encrypt.rewrapping import Unwrapped
from field_encrypt.row_states import QuarantineReason, Row, before_rewrap
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
    work = _Proofs(request, dependencies)
    return await work.run(lambda ref: work.settle(ref, work.prove))


class _Proofs(PageWork):
    @override
    async def fetch(self, ref: RowRef) -> Row | None:
        """Read a row, again for some seconds while it is not one that was put onto the target."""
        row = await super().fetch(ref)
        for seconds in LAG_SECONDS:
            if row is not None and is_rewrapped(row, self.request.run.run_id):
                break
            await self.clock.sleep(seconds)
            row = await super().fetch(ref)
        return row

    async def prove(self, row: Row) -> Outcome:
        if not is_rewrapped(row, self.request.run.run_id):
            return Outcome.UNCHANGED
        if (failure := await self._failure(row)) is None:
            return Outcome.CHANGED
        undone = await self._undo(row)
        return undone if undone in (Outcome.GONE, Outcome.AGAIN) else self.quarantine(row.id, failure, row.version)

    async def _failure(self, row: Row) -> QuarantineReason | None:
        unwrapped = await self.unwrap(row)
        if isinstance(unwrapped, Unwrapped):
            # A rewrap always writes the key check: a row without one has lost it since.
            return None if row.key_check is not None else QuarantineReason.MALFORMED_KEY_CHECK
        if unwrapped.reason in NOT_THE_ROWS_FAULT:
            resource = f"MEK version {self.request.target_version}"
            raise ResourceMissingError("the target version is disabled or gone", resource=resource)
        return unwrapped.reason

    async def _undo(self, row: Row) -> Outcome:
        previous = before_rewrap(row, self.store.keyring, self.request.target_version)
        if previous and isinstance(await self.unwrap(previous), Unwrapped):
            return await self.written(self.store.exchange, row, self.request.run.fencing_token)
        return Outcome.UNCHANGED
