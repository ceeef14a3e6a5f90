"""A dek store with rows of known DEKs, as the tests of a sweep over it need them."""

from dataclasses import dataclass, field
from typing import Any, Self, override

from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt import DekStore, RewrapResult, RowDefaults, rewrap_all
from field_encrypt.dek import Dek, key_check
from field_encrypt.encoding import from_base64, to_base64
from field_encrypt.pacing import Clock
from field_encrypt.rows import WrappedDek
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_vault import Mek

RATE = 10_000.0


class WoundClock(Clock):
    """Only waiting moves it, and no test waits."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    @override
    def monotonic(self) -> float:
        """Return the seconds that were waited."""
        return self.elapsed

    @override
    async def sleep(self, seconds: float) -> None:
        """Note that so long was waited."""
        self.elapsed += seconds


@dataclass
class StoreOfRows:
    """A MEK with an old version and a target, and rows under the old one."""

    mek: Mek
    rows: ContainerProxy
    store: DekStore
    old: str
    target: str
    deks: dict[str, Dek] = field(default_factory=dict)

    @classmethod
    async def create(cls, mek: Mek, client: CosmosClient) -> Self:
        """Make a key with two versions, and an empty store."""
        rows = await new_container(client, "deks")
        old, target = await mek.create(), await mek.create()
        return cls(mek, rows, DekStore(rows, RowDefaults(mek_name=mek.name)), old, target)

    async def add(self, dek_id: str, version: str | None = None, **properties: Any) -> None:
        """Store a row of a new DEK under the old version; a property of None is left out."""
        dek, under = Dek.generate(), version or self.old
        wrapped = self.mek.client.wrap(dek.reveal(), await self.mek.client.get_version(under))
        named = WrappedDek(mek_name=self.mek.name, mek_version=under, algorithm="RSA-OAEP-256", wrapped=wrapped)
        await self.store.create(dek_id, named, key_check(dek))
        self.deks[dek_id] = dek
        if properties:
            row = {**await self.item(dek_id), **properties}
            await self.rows.replace_item(dek_id, {name: value for name, value in row.items() if value is not None})

    async def fill(self, count: int) -> None:
        """Store so many rows under the old version."""
        for number in range(count):
            await self.add(f"dek-{number}")

    async def item(self, dek_id: str) -> dict[str, Any]:
        """Return a row as it is stored."""
        return dict(await self.rows.read_item(dek_id, partition_key=dek_id))

    async def sweep(self, **options: Any) -> RewrapResult:
        """Rewrap all rows without waiting."""
        options = {"unwraps_per_second": RATE, "clock": WoundClock(), **options}
        return await rewrap_all(self.store, self.mek.client, **options)

    async def versions(self) -> dict[str, str | None]:
        """Return the version that each row names."""
        query = "SELECT c.id, c.mekVersion FROM c"
        return {row["id"]: row.get("mekVersion") async for row in self.rows.query_items(query)}

    async def lost(self) -> list[str]:
        """Return the rows that do not give their DEK to a reader who follows the row."""
        return [dek_id for dek_id, dek in self.deks.items() if await self.opened(dek_id) != dek]

    async def opened(self, dek_id: str) -> Dek:
        """Return what the row unwraps to."""
        item = await self.item(dek_id)
        wrapped = from_base64(item["wrappedDek"])
        assert wrapped is not None
        return Dek(await self.mek.client.unwrap(wrapped, item["mekVersion"], item["algorithm"]))


def encoded(raw: bytes) -> str:
    """Return base64 as rows hold it."""
    return to_base64(raw)
