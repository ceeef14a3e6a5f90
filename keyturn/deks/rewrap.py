"""Rewraps a page of rows: the same DEKs, wrapped by the target version.

Per row: read it, skip it if it is current or foreign, have the vault unwrap it, check that it is the same DEK, wrap it
locally with the target's public key, and write it back if it has not changed meanwhile. Running a page twice, or dying
anywhere in it, changes nothing: a row is whole before and after its one write, and a row that is done is skipped.
"""

from field_encrypt.mek_versions import MekVersion
from field_encrypt.rewrapping import NewWrap, NotUnwrapped, RowRewrap, Unwrapped, wrap_again
from field_encrypt.row_states import Row, RowKind
from keyturn.contracts.pages import PageInput, PageResult, RowRef
from keyturn.deks.page import PageDependencies, PageWork
from keyturn.deks.store import Outcome
from keyturn.key_vault.errors import vault_failures


async def rewrap_page(request: PageInput, dependencies: PageDependencies) -> PageResult:
    """Rewrap the rows that the page names.

    Raises:
        TransientError: the store or the vault failed; the page may be run again.
        OperatorError: a right is missing, or nothing may be wrapped under the target version.
    """
    work = PageWork(request, dependencies)
    target = await work.vault.fetch_version(request.target_version)
    return await work.run(lambda ref: _rewrap(ref, target, work))


async def _rewrap(ref: RowRef, target: MekVersion, work: PageWork) -> None:
    async def wrap(unwrapped: Unwrapped) -> NewWrap:
        return new_wrap(unwrapped, target, work)

    rewrap = RowRewrap(work.unwrap, wrap)

    async def attempt(row: Row) -> Outcome:
        if (made_from := rewrap.written_from(row)) is not None:
            _count_stale_writer(made_from, target, work)
            return Outcome.CHANGED
        if not work.chosen(row):
            # An interrupted run of this page may have rewrapped the row without reporting that it was stale.
            if row.kind is RowKind.CURRENT and row.run_id == work.request.run.run_id and row.created_at is not None:
                _count_stale_writer(row, target, work)
            return Outcome.UNCHANGED
        new = await rewrap.prepare(row)
        if isinstance(new, NotUnwrapped):
            _count_stale_writer(row, target, work)
            return work.quarantine(row.id, new.reason, row.version)
        # A lost race cannot be seen without writing.
        dry = work.request.dry_run
        outcome = Outcome.CHANGED if dry else await work.written(work.store.rewrap, row, new)
        if outcome is Outcome.CHANGED:
            _count_stale_writer(row, target, work)
        return outcome

    await work.settle(ref, attempt)


def new_wrap(unwrapped: Unwrapped, target: MekVersion, work: PageWork) -> NewWrap:
    """Wrap a DEK with the version's public key, locally; raises KeyturnError of the kind that a failure means."""
    run = work.request.run
    with vault_failures("wrap", work.mek.mek_name, target.version):
        return wrap_again(unwrapped, work.mek, target, now=work.clock.now(), run_id=run.run_id, fence=run.fencing_token)


def _count_stale_writer(row: Row, target: MekVersion, work: PageWork) -> None:
    written_at = row.created_at or row.changed_at
    if target.created_on is not None and written_at > target.created_on:
        work.add_stale_write(written_at)
