"""Moves every row of a dek store onto one version of the MEK: for those who run no app that does it.

A pass reads the store's change feed from its beginning and rewraps each stale row that it meets. Passes are repeated
until one had nothing to move; at the end of each a query lists the rows, and those that the feed has not shown are
looked at as well. A row changes by one patch that is conditional on what was read: it can be opened at every moment, a
deleted row stays deleted, and a lost race is read again. A call that is killed anywhere leaves whole rows behind; the
next call skips what names the target already.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from field_encrypt.dek import Dek
from field_encrypt.dek_store import DekStore
from field_encrypt.errors import InvalidDekError, InvalidSettingError, require_number
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import MekNotUsableError, UnwrapRefusedError
from field_encrypt.mek_versions import MekVersion
from field_encrypt.pacing import Clock, Pacer, SystemClock, side_by_side
from field_encrypt.rewrapping import (
    RACE_SECONDS,
    RACES_MAX,
    NewWrap,
    NotUnwrapped,
    RowRewrap,
    Unwrapped,
    unwrap_row,
    wrap_again,
)
from field_encrypt.row_states import QuarantineReason, Row, RowKind
from field_encrypt.rows import same_name
from field_encrypt.sweep_results import Pass, QuarantinedRow, RewrapProgress, RewrapResult, RowKey
from field_encrypt.sweep_store import SweepStore

ROWS_AT_ONCE: Final = 16  # at 35 unwraps a second and some 100 ms each, 4 would do
PASSES_MAX: Final = 10  # where writers keep changing rows, the result says that it is not complete

OnProgress = Callable[[RewrapProgress], None]
_SYSTEM_CLOCK: Final = SystemClock()


async def rewrap_all(
    dek_store: DekStore,
    mek: MekClient,
    *,
    unwraps_per_second: float,
    target_version: str | None = None,
    resume: str | None = None,
    on_progress: OnProgress | None = None,
    prove: bool = True,
    clock: Clock = _SYSTEM_CLOCK,
) -> RewrapResult:
    """Rewrap every stale row of the store under a version of the MEK, by default the newest that is enabled.

    ``unwraps_per_second`` is what this call may take of the vault's limits, which live traffic shares. A stale row
    costs one unwrap, and with ``prove`` a second one: the new wrap is opened under the target, and compared, before it
    is written. ``on_progress`` is called after each page of rows; ``resume`` is the token that it was given last.

    A row that cannot be rewrapped stays as it is and is named in the result. Whether older versions may be disabled,
    :attr:`RewrapResult.is_complete` says, and not that this has returned.

    Raises:
        InvalidSettingError: the rate, the token, or a MEK that is not the dek store's.
        MekNotUsableError: nothing may be wrapped under the target.
        MekError, DekStoreForbiddenError, DekStoreUnavailableError: a service refused or failed; call again.
    """
    require_number("unwraps_per_second", unwraps_per_second, above=0)
    if not same_name(dek_store.defaults.mek_name, mek.mek_name):
        raise InvalidSettingError("mek", f"the MEK of the dek store, {dek_store.defaults.mek_name}")
    current = None if resume is None else Pass.resumed(resume)
    if current is not None and target_version not in (None, current.target_version):
        raise InvalidSettingError("resume", f"a token for the target {target_version}, or no target")
    named = target_version if current is None else current.target_version
    target = await mek.newest_enabled() if named is None else await mek.fetch_version(named)
    if problem := target.wrap_problem():
        raise MekNotUsableError(mek.mek_name, target.version, f"nothing may be wrapped under it: {problem}")
    vault = _SweepMek(mek, target, Pacer(unwraps_per_second, clock), prove=prove)
    sweep = _Sweep(SweepStore(dek_store, mek.vault_url, target.version), vault, clock, on_progress)
    return await sweep.run(current or Pass(target.version))


class _SweepMek:
    """The versions of a MEK and the one that is the target."""

    def __init__(self, mek: MekClient, target: MekVersion, pacer: Pacer, *, prove: bool) -> None:
        self._mek = mek
        self._target = target
        self._pacer = pacer
        self._prove = prove
        self._enabled: asyncio.Task[list[str]] | None = None

    async def unwrap(self, row: Row) -> Unwrapped | NotUnwrapped:
        """Return the row's DEK, or why the row does not unwrap to it.

        Raises:
            MekError: the vault refused or failed for a reason that is not the row's.
        """
        return await unwrap_row(row, self._call, self._enabled_versions)

    async def wrap(self, unwrapped: Unwrapped) -> NewWrap | NotUnwrapped:
        """Wrap under the target, and open the wrap again to compare: what does not hold the DEK is not written.

        Raises:
            MekError: nothing may be wrapped under the target; the vault refused or failed.
        """
        new = wrap_again(unwrapped, self._mek, self._target, now=datetime.now(UTC))
        if not self._prove:
            return new
        try:
            proven = Dek(await self._call(new.wrapped, new.version, new.algorithm))
        except (InvalidDekError, UnwrapRefusedError):
            return NotUnwrapped(QuarantineReason.UNWRAP_REFUSED, new.version)
        return new if proven == unwrapped.dek else NotUnwrapped(QuarantineReason.KEY_CHECK_MISMATCH, new.version)

    async def _call(self, wrapped: bytes, version: str, algorithm: str) -> bytes:
        return await self._pacer.call(lambda: self._mek.unwrap(wrapped, version, algorithm))

    async def _enabled_versions(self) -> list[str]:
        """Return the enabled versions, newest first, for rows that name none: listed once."""
        if self._enabled is None:
            self._enabled = asyncio.ensure_future(self._pacer.call(self._mek.enabled_versions))
        return await self._enabled


class _Sweep:
    """One call."""

    def __init__(self, store: SweepStore, mek: _SweepMek, clock: Clock, on_progress: OnProgress | None) -> None:
        self._store = store
        self._mek = mek
        self._clock = clock
        self._on_progress = on_progress
        self._rewrapped = 0
        self._passes = 0

    async def run(self, current: Pass) -> RewrapResult:
        while True:
            self._passes += 1
            before = self._rewrapped
            await self._go_over(current)
            last = self._passes == PASSES_MAX
            if last or self._rewrapped == before:
                await self._reconcile(current)
                still = self._rewrapped == before
                if last or still:
                    return current.result(rewrapped=self._rewrapped, passes=self._passes, still=still)
            current = Pass(current.target_version)

    async def _go_over(self, current: Pass) -> None:
        for feed_range in await self._store.feed_ranges():
            while feed_range not in current.drained:
                page = await self._store.page(feed_range, current.cursors.get(feed_range))
                rows = [self._store.read(item) for item in page.items]
                fresh = any(key_of(row) not in current.settled for row in rows)
                await side_by_side(rows, lambda row: self._settle(row, current), ROWS_AT_ONCE)
                current.cursors[feed_range] = page.cursor
                # A range whose rows are changed without end is done as well once its pages show no other rows.
                if page.drained or (rows and not fresh):
                    current.drained.add(feed_range)
                if self._on_progress is not None:
                    self._on_progress(self._progress(current))

    async def _reconcile(self, current: Pass) -> None:
        """Have a query list the rows, and settle those that the feed has not shown: they came meanwhile."""
        listed = await self._store.listed()
        current.listed = set(listed)

        async def settle(key: RowKey) -> None:
            row = await self._store.read_one(key[0], listed[key])
            if row is None:
                current.listed.discard(key)
            else:
                await self._settle(row, current)

        await side_by_side((key for key in listed if key not in current.settled), settle, ROWS_AT_ONCE)

    def _progress(self, current: Pass) -> RewrapProgress:
        return RewrapProgress(
            target_version=current.target_version,
            passes=self._passes,
            seen=len(current.settled),
            rewrapped=self._rewrapped,
            quarantined=len(current.quarantined),
            token=current.token(),
        )

    async def _settle(self, row: Row, current: Pass) -> None:
        rewrap, key = RowRewrap(self._mek.unwrap, self._mek.wrap), key_of(row)
        for race in range(RACES_MAX):
            if race:
                await self._clock.sleep(RACE_SECONDS * 2**race)
                if (now := await self._store.read_again(row)) is None:
                    current.listed.discard(key)  # deleted, and it stays so
                    return
                row = now
            if row.needs_work:
                new = await rewrap.prepare(row)
                if isinstance(new, NotUnwrapped):
                    current.settled[key] = QuarantinedRow(row.id, new.reason, new.version or row.version)
                    return
                if not await self._store.write(row, new):
                    continue
            if row.needs_work or rewrap.written_from(row) is not None:
                self._rewrapped += 1
            current.settled[key] = "foreign" if row.kind is RowKind.FOREIGN else "on_target"
            return
        current.settled[key] = QuarantinedRow(row.id, QuarantineReason.TOO_MANY_RACES, row.version)


def key_of(row: Row) -> RowKey:
    """Return what tells a row apart from all others of its store."""
    return row.id, row.partition
