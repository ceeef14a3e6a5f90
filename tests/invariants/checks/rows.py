"""What must hold for rows: I1 no disabled version is needed, I2 every row opens, I3 no DEK changes."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt import FieldEncryptError, MekClient
from field_encrypt.dek import Dek

PAUSE_SECONDS = 0.02  # between two rounds of a reader, so that there is time left for what is read

Item = Mapping[str, Any]


async def stored(rows: ContainerProxy) -> list[Item]:
    """Return every row as it is stored."""
    return [item async for item in rows.read_all_items()]


async def unwrap_row(item: Item, mek: MekClient, versions: Iterable[str]) -> Dek | None:
    """Return what a reader gets who follows the row's own label, or tries every version where it names none."""
    candidates = [item["mekVersion"]] if isinstance(item.get("mekVersion"), str) else versions
    for version in candidates:
        try:
            wrapped = base64.b64decode(item["wrappedDek"])
            return Dek(await mek.unwrap(wrapped, version, item.get("algorithm", "RSA-OAEP-256")))
        except FieldEncryptError:
            continue
    return None


async def needed_but_disabled(rows: ContainerProxy, mek: MekClient, mek_name: str) -> list[str]:
    """I1: name every disabled version that a row names, and every unlabelled row that no enabled version opens."""
    enabled = {found.version: found.enabled for found in await mek.list_versions()}
    wrong = []
    for item in await stored(rows):
        if item.get("mekName", mek_name) != mek_name:
            continue
        label: Any = item.get("mekVersion")
        if enabled.get(label) is False:
            wrong.append(f"version {label} is disabled, and row {item['id']} names it")
        elif label is None and await unwrap_row(item, mek, [name for name, is_on in enabled.items() if is_on]) is None:
            wrong.append(f"no enabled version opens row {item['id']}, which names none")
    return wrong


class Reader:
    """I2: a reader that opens rows over and over while something happens to them, and notes which did not open."""

    def __init__(self, rows: ContainerProxy, mek: MekClient, ids: Iterable[str]) -> None:
        self._rows, self._mek, self._ids = rows, mek, list(ids)
        self.samples = 0
        self._rounds = 0
        self._turn = asyncio.Condition()
        self.unreadable: list[str] = []

    async def sample(self, row_id: str) -> None:
        """Open one row; a row that changed under the reader's hands is read again, as any reader would."""
        while True:
            item = await self._read(row_id)
            if item is None or await unwrap_row(item, self._mek, []) is not None:
                break
            again = await self._read(row_id)
            if again is None or again["_etag"] == item["_etag"]:
                label = item.get("mekVersion")
                self.unreadable.append(f"row {row_id} does not open under its own label, version {label}")
                break
        self.samples += 1

    async def _read(self, row_id: str) -> Item | None:
        found = [item async for item in self._rows.query_items("SELECT * FROM c", partition_key=row_id)]
        return found[0] if found else None

    async def round(self) -> None:
        """Open every row once."""
        await asyncio.gather(*(self.sample(row_id) for row_id in self._ids))
        async with self._turn:
            self._rounds += 1
            self._turn.notify_all()

    async def whole_round(self) -> None:
        """Wait until every row was opened once from now on."""
        last = self._rounds + 2  # the round under way may have passed a row already
        async with self._turn:
            await self._turn.wait_for(lambda: self._rounds >= last)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Reader"]:
        """Read on until the block ends, and once more after it."""

        async def read_on() -> None:
            while True:
                await self.round()
                await asyncio.sleep(PAUSE_SECONDS)

        task = asyncio.create_task(read_on())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
        await self.round()


async def resurrected(rows: ContainerProxy, deleted: Iterable[str]) -> list[str]:
    """I2: name every row that was deleted and is there again."""
    there = {item["id"] for item in await stored(rows)}
    return [f"row {row_id} was deleted, and is there again" for row_id in deleted if row_id in there]


async def changed_deks(rows: ContainerProxy, mek: MekClient, deks: Mapping[str, Dek]) -> list[str]:
    """I3: name every row that does not give the DEK that it was created with."""
    versions = [found.version for found in await mek.list_versions()]
    wrong = []
    for item in await stored(rows):
        if (unwrapped := await unwrap_row(item, mek, versions)) is None:
            wrong.append(f"row {item['id']} gives no DEK")
        elif item["id"] in deks and unwrapped != deks[item["id"]]:
            wrong.append(f"row {item['id']} gives another DEK than it was created with")
    return wrong
