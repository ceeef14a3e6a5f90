"""A page of rows of the dek store: what rewrapping and proving them need beside the loop that all pages share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from field_encrypt.key_vault import MekClient
from keyturn.clock import Clock, SystemClock
from keyturn.contracts.pages import PageInput, RowRef
from keyturn.dek_store.rows import Row
from keyturn.dek_store.store import DekStore
from keyturn.key_vault.pacing import PacedVault, Pacer
from keyturn.rotation.page_loop import PageLoop, Quarantine


@dataclass(frozen=True, slots=True)
class PageDependencies:
    """What a page works with; ``quarantine`` takes the rows that cannot be rewrapped, the same row perhaps twice."""

    store: DekStore
    mek: MekClient
    quarantine: Quarantine
    clock: Clock = field(default_factory=SystemClock)
    chosen: Callable[[Row], bool] = lambda row: row.needs_work  # whether a row, as it is now, is to be worked on


class PageWork(PageLoop):
    """One run of one page of rows."""

    def __init__(self, request: PageInput, dependencies: PageDependencies) -> None:
        pacer = Pacer(request.operations_per_second, dependencies.clock)
        super().__init__(request.refs, dependencies.store.container, pacer, dependencies.quarantine, dependencies.clock)
        self.request = request
        self.store = dependencies.store
        self.mek = dependencies.mek
        self.chosen = dependencies.chosen
        self.vault = PacedVault(self.mek, pacer)
        self._enabled: asyncio.Task[list[str]] | None = None

    async def read(self, ref: RowRef) -> Row | None:
        """Read a row as it is now; None if it is gone."""
        return await self.store.read(ref, self.request.target_version)

    async def enabled_versions(self) -> list[str]:
        """Return the MEK's enabled versions, newest first, listed once a page."""
        if self._enabled is None:
            self._enabled = asyncio.ensure_future(self.vault.enabled_versions())
        return await self._enabled
