"""Rolls a page of rows back: to the wrap that they had before a rotation rewrapped them.

The previous wrap is in the row itself. It is put back in exchange for the wrap, and only where it unwraps to the row's
DEK: it may be damaged, or the row's owner may have given the row another DEK since. Where it is not usable, the DEK is
unwrapped and wrapped again under the version that the row came from. A row that another writer has changed since the
rotation stays as it is.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from field_encrypt.mek_versions import MekVersionProperties
from field_encrypt.rewrapping import NotUnwrapped, Unwrapped
from field_encrypt.row_states import PREVIOUS_WRAP, QuarantineReason, Row, before_rewrap
from keyturn.contracts.pages import PageInput, PageResult
from keyturn.deks.page import PageDependencies, PageWork
from keyturn.deks.rewrap import new_wrap
from keyturn.deks.store import Outcome
from keyturn.key_vault.versions import RETIRED_BY_TAG


class Origins(NamedTuple):
    """Where the rows of a rotation, and of those that it adopted, can go back to."""

    run_id: str  # of the rotation: those that it adopted have retired nothing
    old_versions: Sequence[str]  # those that they replaced
    states: Mapping[str, MekVersionProperties]

    def usable(self, version: str | None, *, soon: bool) -> bool:
        """Tell whether the version is enabled, or will be before rows move: the rotation itself has retired it."""
        if version is None or (found := self.states.get(version)) is None:
            return False
        return found.enabled or (soon and found.tags.get(RETIRED_BY_TAG) == self.run_id)

    def instead(self, *, soon: bool) -> str | None:
        """Return the newest usable version that the rotation replaced, for a row that does not say its own."""
        usable = [name for name in self.states if name in self.old_versions and self.usable(name, soon=soon)]
        return usable[-1] if usable else None  # states are in the order of age


async def roll_back_page(request: PageInput, dependencies: PageDependencies, origins: Origins) -> PageResult:
    """Roll back, and count as ``changed``, what is as the rotation left it; raises as :func:`rewrap_page` does."""
    work = PageWork(request, dependencies)

    async def attempt(row: Row) -> Outcome:
        return await _write_back(row, work, origins) if work.chosen(row) else Outcome.UNCHANGED

    return await work.run(lambda ref: work.settle(ref, attempt))


async def _write_back(row: Row, work: PageWork, origins: Origins) -> Outcome:
    soon = work.request.dry_run  # versions that the rotation retired are enabled before rows move
    previous = before_rewrap(row, work.store.keyring, work.request.target_version)
    if previous is not None and previous.reason is None and origins.usable(previous.version, soon=soon):
        whole = row.raw[PREVIOUS_WRAP].get("algorithm") == previous.algorithm  # an algorithm of its own is part of it
        if whole and soon:
            return Outcome.CHANGED
        if whole and await _holds_the_dek(previous, row, work):
            return await work.written(work.store.exchange, row, work.request.run.fencing_token)
    return await _wrap_again(row, previous, work, origins)


async def _holds_the_dek(previous: Row, row: Row, work: PageWork) -> bool:
    """Tell whether the previous wrap unwraps to the row's DEK: by its key check, else by unwrapping both.

    A row that does not unwrap itself, and has no key check, loses nothing: its previous wrap is all that there is.
    """
    before = await work.unwrap(previous)
    if not isinstance(before, Unwrapped) or row.key_check is not None:
        return isinstance(before, Unwrapped)
    now = await work.unwrap(row)
    return not isinstance(now, Unwrapped) or now.dek == before.dek


async def _wrap_again(row: Row, previous: Row | None, work: PageWork, origins: Origins) -> Outcome:
    """Wrap the row's DEK under the version that the row came from, or under the newest that the rotation replaced."""
    soon = work.request.dry_run
    named = previous.version if previous is not None else None
    version = named if origins.usable(named, soon=soon) else origins.instead(soon=soon)
    unwrapped = await work.unwrap(row)
    if isinstance(unwrapped, NotUnwrapped):
        return work.quarantine(row.id, unwrapped.reason, row.version)
    if version is None:
        unusable = QuarantineReason.VERSION_DISABLED if named in origins.states else QuarantineReason.UNKNOWN_VERSION
        return work.quarantine(row.id, unusable, row.version)
    if soon:
        return Outcome.CHANGED
    wrap = new_wrap(unwrapped, await work.vault.fetch_version(version), work)
    return await work.written(work.store.rewrap, row, wrap)
