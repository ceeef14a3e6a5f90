"""What every page shares, whatever its operation: items worked on side by side, counted, and reported.

Items are read before any of them is worked on, so that one look at the lease, begun after the last read, covers the
writes of all. Reads, unwraps and writes of different items overlap; the vault's pace is kept for the page as a whole.
An item's own failure is a value: the item is quarantined and the rest goes on. Any other failure ends the page once the
items in flight are done, and the page is run again: items that are done already cost one read then.
"""

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import batched
from typing import ClassVar, override

from azure.cosmos.aio import ContainerProxy

from field_encrypt.key_vault import MekClient
from field_encrypt.pacing import Pacer, side_by_side
from field_encrypt.rewrapping import RACE_SECONDS, RACES_MAX, NotUnwrapped, Unwrapped, unwrap_row
from field_encrypt.row_states import QuarantineReason, Row
from keyturn.clock import Clock
from keyturn.contracts.pages import PageInput, PageResult, QuarantinedRow, RowRef
from keyturn.cosmos.session_tokens import SessionLog
from keyturn.deks.store import DekStore, Outcome, WriteResult
from keyturn.errors import FencedError
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.pacing import PacedVault

# Items in flight. At 35 operations a second and some 100 ms an unwrap, 4 would do; more of them keep the pace where the
# vault is slow or an item is being backed off.
ITEMS_AT_ONCE = 16

Quarantine = Callable[[Sequence[QuarantinedRow]], Awaitable[None]]
# Raises FencedError unless the run held its keyring after this time (time.monotonic, seconds).
Hold = Callable[[float], Awaitable[None]]
Handle = Callable[[RowRef], Awaitable[None]]


class PageLoop[Item](ABC):
    """One run of one page over items of one container."""

    read_ahead: ClassVar[int]  # items that are read before the first of them is worked on, and held in memory
    prefix = ""  # of the ids under which items are quarantined

    def __init__(
        self, request: PageInput, container: ContainerProxy, quarantine: Quarantine, hold: Hold, clock: Clock
    ) -> None:
        self.request = request
        self.clock = clock
        self.pacer = Pacer(request.operations_per_second, clock)
        self.counts = Counter[str]()  # by the names of PageResult
        self.last_stale_write: datetime | None = None
        self._take_quarantined = quarantine
        self._hold = hold
        self._sessions = SessionLog(container)
        self._ahead: dict[str, Item | None] = {}
        self._read_at = -math.inf  # when the last read ended
        self._quarantined: list[QuarantinedRow] = []

    async def run(self, handle: Handle) -> PageResult:
        """Handle every item of the page; raises what the first of them raised, once none is in flight any more."""
        try:
            for refs in batched(self.request.refs, self.read_ahead, strict=False):
                await side_by_side(refs, self._read_ahead, ITEMS_AT_ONCE)
                await side_by_side(refs, handle, ITEMS_AT_ONCE)
        finally:
            if self._quarantined:
                await self.check_may_write()
                await self._take_quarantined(self._quarantined)
        return PageResult(
            **self.counts,
            quarantined=len(self._quarantined),
            throttled=self.pacer.throttled,
            vault_operations=self.pacer.operations,
            last_stale_write=self.last_stale_write,
            session_tokens=self._sessions.tokens,
        )

    @abstractmethod
    async def fetch(self, ref: RowRef) -> Item | None:
        """Read an item as it is now; None if it is gone."""

    async def read(self, ref: RowRef) -> Item | None:
        """Return an item as it was read ahead, and from the second time on as it is now; None if it is gone."""
        if (key := ref.model_dump_json()) in self._ahead:
            return self._ahead.pop(key)
        item = await self.fetch(ref)
        self.look_again()
        return item

    async def _read_ahead(self, ref: RowRef) -> None:
        self._ahead[ref.model_dump_json()] = await self.read(ref)

    async def settle(self, ref: RowRef, attempt: Callable[[Item], Awaitable[Outcome]]) -> None:
        """Attempt the work on an item as it is now until it is settled, or quarantine the item after many races."""
        for race in range(RACES_MAX):
            if race:
                await self.clock.sleep(RACE_SECONDS * 2**race)
            item = await self.read(ref)
            if (outcome := Outcome.GONE if item is None else await attempt(item)) is not Outcome.AGAIN:
                if outcome in (Outcome.CHANGED, Outcome.UNCHANGED, Outcome.GONE):
                    self.counts[outcome.value] += 1
                return
        self.quarantine(ref.id, QuarantineReason.TOO_MANY_RACES)

    def look_again(self) -> None:
        """Have the lease looked at again before the next write: a row that was just made must be the next run's too."""
        self._read_at = time.monotonic()

    async def check_may_write(self) -> None:
        """Look at the lease, unless that was done since an item was read last, and at the time; raises FencedError."""
        await self._hold(self._read_at)
        self.request.check_in_time(self.clock.now())

    async def written[**P](
        self, write: Callable[P, Awaitable[WriteResult]], *args: P.args, **named: P.kwargs
    ) -> Outcome:
        """Make a conditional write if the run still may, keep its session token, and count a lost race."""
        await self.check_may_write()
        result = await write(*args, **named)
        if result.session_token is not None:
            await self._sessions.record(result.partition_key, result.session_token)
        self.counts["conflicts"] += result.outcome is Outcome.AGAIN
        return result.outcome

    def add_stale_write(self, at: datetime) -> None:
        """Count a row that was written under an old version although the new one existed."""
        self.counts["stale_writers"] += 1
        self.last_stale_write = max(at, self.last_stale_write or at)

    def quarantine(self, item_id: str, reason: StrEnum, version: str | None = None) -> Outcome:
        """Name the item with its reason; everything else about it stays out of the report."""
        self._quarantined.append(QuarantinedRow(id=f"{self.prefix}{item_id}", reason=reason, mek_version=version))
        return Outcome.QUARANTINED


@dataclass(frozen=True, slots=True)
class PageDependencies:
    """What a page works with; ``quarantine`` takes the rows that cannot be rewrapped, the same row perhaps twice."""

    store: DekStore
    mek: MekClient
    quarantine: Quarantine
    hold: Hold
    clock: Clock = field(default_factory=Clock)
    chosen: Callable[[Row], bool] = lambda row: row.needs_work  # whether a row, as it is now, is to be worked on


class PageWork(PageLoop[Row]):
    """One run of one page of rows."""

    read_ahead = 250  # a whole page, at a kilobyte or two a row

    def __init__(self, request: PageInput, dependencies: PageDependencies) -> None:
        self.store = dependencies.store
        super().__init__(request, self.store.container, dependencies.quarantine, dependencies.hold, dependencies.clock)
        self.mek = dependencies.mek
        self.chosen = dependencies.chosen
        self.vault = PacedVault(self.mek, self.pacer)

    @override
    async def fetch(self, ref: RowRef) -> Row | None:
        """Read a row as it is now; raises FencedError where a later run changed it: this one has lost its keyring."""
        row, run = await self.store.read(ref, self.request.target_version), self.request.run
        if row is not None and row.fence is not None and row.fence > run.fencing_token:
            raise FencedError("a later run has changed a row", rotationId=run.run_id, holder=None)
        return row

    async def unwrap(self, row: Row) -> Unwrapped | NotUnwrapped:
        """Return the row's DEK, or why the row does not unwrap to it; raises KeyturnError as the failure means."""
        with vault_failures("unwrap", self.mek.mek_name):
            return await unwrap_row(row, self.vault.unwrap, lambda: self._enabled_versions)

    @cached_property
    def _enabled_versions(self) -> asyncio.Task[list[str]]:
        """The MEK's enabled versions, newest first, listed once a page."""
        return asyncio.ensure_future(self.vault.enabled_versions())
