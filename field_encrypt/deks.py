"""A DEK's life: made and wrapped, its row created; later its row read, unwrapped and checked.

Reading follows the row: the version that the row names is the one that unwraps. Between the read of a row and the
unwrap, a rotation may move the row and disable the version; the row is then read once more and the new wrap unwrapped.
"""

from dataclasses import dataclass, field
from typing import final

from field_encrypt.dek import Dek, key_check, matches_key_check
from field_encrypt.dek_cache import DekCache, UnwrappedDek
from field_encrypt.dek_store import DekStore
from field_encrypt.errors import DekExistsError, KeyCheckMismatchError, UnwrapError
from field_encrypt.mek_errors import MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.provider import MekProvider
from field_encrypt.rows import DekRow, WrappedDek

STALE_WRAP_ERRORS = (MekVersionDisabledError, MekVersionNotFoundError, UnwrapRefusedError)


@dataclass(frozen=True, slots=True)
class NewDek:
    """A DEK to encrypt with, and its wrap."""

    dek_id: str
    dek: Dek
    wrapped: WrappedDek = field(repr=False)


@final
class Deks:
    """The DEKs of one dek store under one provider."""

    def __init__(self, provider: MekProvider, dek_store: DekStore, cache: DekCache | None) -> None:
        self._provider = provider
        self._dek_store = dek_store
        self._cache = cache

    async def make(self, dek_id: str) -> NewDek:
        """Make a DEK and wrap it; it has no row yet.

        Raises:
            MekError: it could not be wrapped.
        """
        dek = Dek.generate()
        return NewDek(dek_id, dek, await self._provider.wrap(dek))

    async def keep(self, new: NewDek, *, or_take_existing: bool) -> NewDek:
        """Create the row, and return the DEK that the row holds: another one only if an existing row may be taken.

        Raises:
            DekExistsError: there is a row of this dekId, and it may not be taken.
            CallerError, OperatorError, RetryError: the row could not be created, or the existing one not be opened.
        """
        try:
            await self._dek_store.create(new.dek_id, new.wrapped, key_check(new.dek))
        except DekExistsError:
            if not or_take_existing:
                raise
            row, dek = await self._open(new.dek_id, None)
            new = NewDek(new.dek_id, dek, row.wrapped_under(row.mek_version or new.wrapped.mek_version))
        self.remember(new)
        return new

    async def get(self, dek_id: str, writers_version: str) -> Dek:
        """Return a DEK from the cache or from its row; ``writers_version`` is for rows that name no version.

        Raises:
            CallerError: the row was changed.
            OperatorError, RetryError: the row or its version is missing or disabled; a service did not answer.
        """

        async def load() -> UnwrappedDek:
            row, dek = await self._open(dek_id, writers_version)
            return UnwrappedDek(dek, row.wrapped)

        return (await load()).dek if self._cache is None else await self._cache.get(dek_id, load)

    async def get_or_make(self, dek_id: str) -> tuple[Dek, str]:
        """Return the DEK of this id, made if there is none, and the version that its row names or was written under.

        Raises:
            CallerError: the row was changed.
            OperatorError, RetryError: a version is missing or disabled; a right is missing; a service did not answer.
        """
        row = await self._dek_store.find(dek_id)
        if row is not None and row.mek_version is not None:
            return await self.get_of_row(row), row.mek_version
        kept = await self.keep(await self.make(dek_id), or_take_existing=True)
        return kept.dek, kept.wrapped.mek_version

    async def get_of_row(self, row: DekRow) -> Dek:
        """Return the DEK of a row that was just read, from the cache or by unwrapping it.

        Raises:
            CallerError: the row was changed.
            OperatorError, RetryError: its version is missing or disabled; a service did not answer.
        """

        async def load() -> UnwrappedDek:
            return UnwrappedDek(await self._unwrap(row, None), row.wrapped)

        return (await load()).dek if self._cache is None else await self._cache.get(row.dek_id, load)

    def remember(self, new: NewDek) -> None:
        """Put a DEK whose row was just created into the cache."""
        if self._cache is not None:
            self._cache.put(new.dek_id, UnwrappedDek(new.dek, new.wrapped.wrapped))

    async def _open(self, dek_id: str, writers_version: str | None) -> tuple[DekRow, Dek]:
        row = await self._dek_store.read(dek_id)
        try:
            return row, await self._unwrap(row, writers_version)
        except STALE_WRAP_ERRORS:
            current = await self._dek_store.read(dek_id)
            if current.same_wrap(row):
                raise
            return current, await self._unwrap(current, writers_version)

    async def _unwrap(self, row: DekRow, writers_version: str | None) -> Dek:
        # Rows of older writers name no version; the version that their writer saw is then the one in the document.
        try:
            dek = await self._provider.unwrap(row.wrapped_under(row.mek_version or writers_version or ""))
        except UnwrapError as error:
            error.dek_id = row.dek_id
            raise
        if row.key_check is not None and not matches_key_check(dek, row.key_check):
            raise KeyCheckMismatchError(row.dek_id)
        return dek
