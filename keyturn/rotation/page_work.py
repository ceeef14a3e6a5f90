"""What rewrapping and proving a page share: rows worked on side by side, counted, and reported.

Reads, unwraps and writes of different rows overlap; the vault's pace is kept for the page as a whole. A row's own
failure is a value: the row is quarantined and the rest goes on. What fails for another reason ends the page once the
rows in flight are done, and the page is run again: rows that are done already cost one read then.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from field_encrypt.key_vault import MekClient
from keyturn.clock import Clock, SystemClock
from keyturn.contracts.pages import PageInput, PageResult, QuarantinedRow, RowRef
from keyturn.dek_store.rows import QuarantineReason, Row
from keyturn.dek_store.session_tokens import SessionLog
from keyturn.dek_store.store import DekStore, WriteOutcome, WriteResult
from keyturn.key_vault.pacing import PacedVault, Pacer

# Rows in flight. At 35 operations a second and some 100 ms an unwrap, 4 would do; more of them keep the pace where the
# vault is slow or a row is being backed off.
ROWS_AT_ONCE = 16
# How often a row is read again after a lost race before it is given up, and how long is waited before (seconds, doubled
# each time): a read by a replica that has not received the other writer's change would lose again.
RACES_MAX = 8
RACE_SECONDS = 0.05

Quarantine = Callable[[Sequence[QuarantinedRow]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PageDependencies:
    """What a page works with; ``quarantine`` takes the rows that cannot be rewrapped, the same row perhaps twice."""

    store: DekStore
    mek: MekClient
    quarantine: Quarantine
    clock: Clock = field(default_factory=SystemClock)


@dataclass(slots=True)
class Counts:
    """What happened to the page's rows; fields are those of PageResult."""

    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    conflicts: int = 0
    stale_writers: int = 0
    last_stale_write: datetime | None = None

    def add_stale_write(self, at: datetime) -> None:
        """Count a row that was written under an old version although the new one existed."""
        self.stale_writers += 1
        self.last_stale_write = max(at, self.last_stale_write or at)


class PageWork:
    """One run of one page."""

    def __init__(self, request: PageInput, dependencies: PageDependencies) -> None:
        self.request = request
        self.store = dependencies.store
        self.clock = dependencies.clock
        self.mek = dependencies.mek
        self.vault = PacedVault(self.mek, Pacer(request.operations_per_second, self.clock))
        self.counts = Counts()
        self._dependencies = dependencies
        self._sessions = SessionLog(self.store.container)
        self._quarantined: list[QuarantinedRow] = []
        self._failures: list[Exception] = []
        self._enabled: asyncio.Task[list[str]] | None = None

    async def run(self, handle: Callable[[RowRef], Awaitable[None]]) -> PageResult:
        """Handle every row of the page and return what became of them.

        Raises:
            Exception: the first that a row's handling raised, once no row is in flight any more.
        """
        refs = iter(self.request.refs)
        await asyncio.gather(*(self._work(refs, handle) for _ in range(ROWS_AT_ONCE)))
        if self._quarantined:
            await self._dependencies.quarantine(self._quarantined)
        if self._failures:
            raise self._failures[0]
        return PageResult(
            changed=self.counts.changed,
            unchanged=self.counts.unchanged,
            gone=self.counts.gone,
            quarantined=len(self._quarantined),
            conflicts=self.counts.conflicts,
            throttled=self.vault.pacer.throttled,
            vault_operations=self.vault.pacer.operations,
            stale_writers=self.counts.stale_writers,
            last_stale_write=self.counts.last_stale_write,
            session_tokens=self._sessions.tokens,
        )

    async def _work(self, refs: Iterator[RowRef], handle: Callable[[RowRef], Awaitable[None]]) -> None:
        for ref in refs:
            if self._failures:
                return
            try:
                await handle(ref)
            except Exception as error:  # noqa: BLE001 - raised by run(), when the rows in flight are done
                self._failures.append(error)

    async def attempts(self) -> AsyncIterator[None]:
        """Yield once for each attempt at a row, waiting in between, until a race was lost too often."""
        for attempt in range(RACES_MAX):
            if attempt:
                await self.clock.sleep(RACE_SECONDS * 2**attempt)
            yield

    async def read(self, ref: RowRef) -> Row | None:
        """Read a row as it is now; None if it is gone."""
        return await self.store.read(ref, self.request.target_version)

    async def written(self, write: Awaitable[WriteResult]) -> WriteOutcome:
        """Make a conditional write, keep its session token, and count a lost race."""
        result = await write
        if result.session_token is not None:
            await self._sessions.record(result.partition_key, result.session_token)
        self.counts.conflicts += result.outcome is WriteOutcome.LOST_RACE
        return result.outcome

    def quarantine(self, row_id: str, reason: QuarantineReason, version: str | None = None) -> None:
        """Name the row with its reason; everything else about it stays out of the report."""
        self._quarantined.append(QuarantinedRow(id=row_id, reason=reason, mek_version=version))

    async def enabled_versions(self) -> list[str]:
        """Return the MEK's enabled versions, newest first, listed once a page."""
        if self._enabled is None:
            self._enabled = asyncio.ensure_future(self.vault.enabled_versions())
        return await self._enabled
