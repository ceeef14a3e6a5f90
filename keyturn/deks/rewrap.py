"""Rewraps a page of rows: the same DEKs, wrapped by the target version.

Per row: read it, skip it if it is current or foreign, have the vault unwrap it, check that it is the same DEK, wrap it
locally with the target's public key, and write it back if it has not changed meanwhile. Running a page twice, or dying
anywhere in it, changes nothing: a row is whole before and after its one write, and a row that is done is skipped.
"""

from dataclasses import dataclass
from operator import attrgetter

from field_encrypt.dek import key_check
from field_encrypt.mek_versions import MekVersion
from keyturn.contracts.pages import PageInput, PageResult, RowRef
from keyturn.deks.page import PageDependencies, PageWork
from keyturn.deks.rows import Row, RowKind
from keyturn.deks.store import NewWrap, Outcome
from keyturn.deks.unwrap import NotUnwrapped, Unwrapped, unwrap_row
from keyturn.key_vault.errors import vault_failures

NEW_ALGORITHM = "RSA-OAEP-256"  # of every new wrap; RSA-OAEP (SHA-1) is only ever read


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A new wrap, and the row that it was made from."""

    made_from: Row
    new: NewWrap

    def is_in(self, row: Row) -> bool:
        """Tell whether the row holds this wrap: the write was ours, only its answer was lost.

        The SDK repeats a write whose connection broke, and that second attempt loses the race against the first. A wrap
        is randomised, so no other writer can have written the same bytes.
        """
        return row.on_target and row.wrapped == self.new.wrapped

    def fits(self, row: Row) -> bool:
        """Tell whether the wrap is good for what the row is now: others may have changed what we do not touch."""
        parts = attrgetter("wrapped", "version", "algorithm", "key_check")
        return bool(parts(row) == parts(self.made_from))


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
    prepared: _Prepared | None = None

    async def attempt(row: Row) -> Outcome:
        nonlocal prepared
        if prepared is not None and prepared.is_in(row):
            _count_stale_writer(prepared.made_from, target, work)
            return Outcome.CHANGED
        if not work.chosen(row):
            # An interrupted run of this page may have rewrapped the row without reporting that it was stale.
            if row.kind is RowKind.CURRENT and row.run_id == work.request.run.run_id and row.created_at is not None:
                _count_stale_writer(row, target, work)
            return Outcome.UNCHANGED
        if prepared is None or not prepared.fits(row):
            unwrapped = await unwrap_row(row, work.vault.unwrap, work.enabled_versions)
            if isinstance(unwrapped, NotUnwrapped):
                _count_stale_writer(row, target, work)
                return work.quarantine(row.id, unwrapped.reason, row.version)
            prepared = _Prepared(row, new_wrap(unwrapped, target, work))
        # A lost race cannot be seen without writing.
        dry = work.request.dry_run
        outcome = Outcome.CHANGED if dry else await work.written(work.store.rewrap, row, prepared.new)
        if outcome is Outcome.CHANGED:
            _count_stale_writer(row, target, work)
        return outcome

    await work.settle_row(ref, attempt)


def new_wrap(unwrapped: Unwrapped, target: MekVersion, work: PageWork) -> NewWrap:
    """Wrap a DEK with the version's public key, locally; raises KeyturnError of the kind that a failure means."""
    with vault_failures("wrap", work.mek.mek_name, target.version):
        wrapped = work.mek.wrap(unwrapped.dek.reveal(), target, NEW_ALGORITHM)
    return NewWrap(
        version=target.version,
        wrapped=wrapped,
        algorithm=NEW_ALGORITHM,
        key_check=key_check(unwrapped.dek),
        old_version=unwrapped.version,
        run_id=work.request.run.run_id,
        fence=work.request.run.fencing_token,
        rewrapped_at=work.clock.now(),
    )


def _count_stale_writer(row: Row, target: MekVersion, work: PageWork) -> None:
    written_at = row.created_at or row.changed_at
    if target.created_on is not None and written_at > target.created_on:
        work.add_stale_write(written_at)
