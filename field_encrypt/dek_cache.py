"""Plaintext DEKs in memory: bounded, for a limited time, loaded once however many ask at the same moment.

A DEK never changes its value, so an entry stays right when its row is rewrapped. Entries are dropped all the same when
their row gets another wrap, so that a reader finds out early, not at the end of an entry's life, whether it can follow
the row. Nothing is ever written to disk.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from field_encrypt.dek import Dek
from field_encrypt.errors import require_number


@dataclass(frozen=True, slots=True)
class UnwrappedDek:
    """A DEK and the wrap that it was opened from, by which a later rewrap is told."""

    dek: Dek
    wrapped: bytes = field(repr=False)


Load = Callable[[], Awaitable[UnwrappedDek]]


class DekCache:
    """A cache of DEKs by dekId, for one event loop."""

    def __init__(
        self, *, max_entries: int = 10_000, ttl_seconds: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take how many entries there may be, and how long each lives.

        Raises:
            InvalidSettingError: a number is negative, or none.
        """
        require_number("max_entries", max_entries, least=0, whole=True)
        require_number("ttl_seconds", ttl_seconds, least=0)
        self._max_entries = max_entries
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        # dekId -> DEK, end of life; oldest use first
        self._entries: OrderedDict[str, tuple[UnwrappedDek, float]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[UnwrappedDek]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, dek_id: str, load: Load) -> Dek:
        """Return the DEK from the cache, or from one load that every waiter shares; a failed load is not kept.

        Raises:
            FieldEncryptError: whatever the load raised.
        """
        entry = self._entries.get(dek_id)
        if entry is not None and entry[1] > self._clock():
            self._entries.move_to_end(dek_id)
            return entry[0].dek
        task = self._loading.get(dek_id)
        if task is None:
            task = asyncio.ensure_future(self._load(dek_id, load))
            task.add_done_callback(_retrieve_failure)
            self._loading[dek_id] = task
        # A waiter that is cancelled must not take the load away from the others.
        return (await asyncio.shield(task)).dek

    def put(self, dek_id: str, unwrapped: UnwrappedDek) -> None:
        """Keep a DEK that the caller has just made or loaded."""
        self._entries[dek_id] = (unwrapped, self._clock() + self._ttl_seconds)
        self._entries.move_to_end(dek_id)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def invalidate(self, dek_id: str) -> None:
        """Drop one entry; a load that is under way still answers its waiters but is not kept."""
        self._entries.pop(dek_id, None)
        self._loading.pop(dek_id, None)

    def invalidate_other_wraps(self, dek_id: str, wrapped: bytes | None) -> None:
        """Drop one entry unless it was opened from this wrap; None is no entry's wrap."""
        entry = self._entries.get(dek_id)
        if entry is None or entry[0].wrapped != wrapped:
            self.invalidate(dek_id)

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._loading.clear()

    async def _load(self, dek_id: str, load: Load) -> UnwrappedDek:
        mine = asyncio.current_task()
        try:
            unwrapped = await load()
            if self._loading.get(dek_id) is mine:  # otherwise it was invalidated while it loaded
                self.put(dek_id, unwrapped)
            return unwrapped
        finally:
            if self._loading.get(dek_id) is mine:
                del self._loading[dek_id]


def _retrieve_failure(task: asyncio.Task[UnwrappedDek]) -> None:
    """Look at the failure, which asyncio would report as never retrieved where every waiter was cancelled."""
    if not task.cancelled():
        task.exception()
