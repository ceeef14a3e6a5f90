"""Pages of rows as the tests of rewrapping and proving run them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from field_encrypt.key_vault import MekClient
from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_states import Row
from keyturn.clock import Clock
from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import PageInput, QuarantinedRow, RowRef
from keyturn.deks.page import Hold, PageDependencies
from keyturn.deks.store import WriteResult
from tests.keyturn.local_keyring import ROTATION, LocalKeyring

Between = Callable[[Row], Awaitable[None]]


class Sink:
    """Where a page names its quarantined rows."""

    def __init__(self) -> None:
        self.rows: list[QuarantinedRow] = []

    async def take(self, rows: Sequence[QuarantinedRow]) -> None:
        """Keep the rows."""
        self.rows += rows

    @property
    def named(self) -> dict[str, tuple[str, str | None]]:
        """Reason and version by id."""
        return {row.id: (row.reason, row.mek_version) for row in self.rows}


async def held(_read_at: float) -> None:
    """Say that the run holds its keyring: tests/invariants takes it away."""


def page_of(refs: Sequence[RowRef], target: str, rate: float = 1000) -> PageInput:
    """Return a page's input."""
    return PageInput(
        run=RunRef(run_id=ROTATION, keyring="notes", fencing_token=1),
        target_version=target,
        refs=list(refs),
        operations_per_second=rate,
    )


def dependencies(
    local_keyring: LocalKeyring,
    sink: Sink,
    mek: MekClient | None = None,
    clock: Clock | None = None,
    hold: Hold = held,
) -> PageDependencies:
    """Return what a page works with."""
    return PageDependencies(local_keyring.store, mek or local_keyring.mek.client, sink.take, hold, clock or Clock())


async def item_without_system(local_keyring: LocalKeyring, ref: RowRef) -> dict[str, Any]:
    """Return the stored item without the service's own properties."""
    return {name: value for name, value in (await local_keyring.item(ref)).items() if not name.startswith("_")}


def interfere(local_keyring: LocalKeyring, monkeypatch: pytest.MonkeyPatch, between: Between, times: int = 1) -> None:
    """Have another writer act between a row's read and its write, so many times."""
    rewrap = local_keyring.store.rewrap
    left = times

    async def late(row: Row, new: NewWrap) -> WriteResult:
        nonlocal left
        if left:
            left -= 1
            await between(row)
        return await rewrap(row, new)

    monkeypatch.setattr(local_keyring.store, "rewrap", late)
