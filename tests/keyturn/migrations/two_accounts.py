"""A dek store and the account into which a backup of it was restored: two local accounts, one vault."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.access.identity import Identity
from keyturn.contracts.pages import RowRef
from keyturn.migrations.restore_rows import Compared, Wanted, restore_rows
from keyturn.runs.records import MigrationRecord
from tests.field_encrypt.local_cosmos import DATABASE
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import encoded

OPERATOR = Identity("dana@example.com", "6b0d9c1e-0b53-4f7e-9a52-6d0c3f0b8a10")
GARBAGE = encoded(b"x" * 256)
SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts")


def own(item: dict[str, Any]) -> dict[str, Any]:
    """Return what a row holds itself, without the fence."""
    return {name: value for name, value in item.items() if name not in (*SYSTEM, "fence")}


class TwoAccounts:
    """The keyring as the app has it, and the restored container."""

    def __init__(self, harness: ActivityHarness, there: ContainerProxy) -> None:
        self.harness, self.there = harness, there
        self.local, self.here = harness.local_keyring, harness.local_keyring.container

    @classmethod
    async def create(cls, harness: ActivityHarness, other: CosmosClient) -> "TwoAccounts":
        """Make the container of the same name in the other account."""
        database = await other.create_database_if_not_exists(DATABASE)
        there = await database.create_container(harness.local_keyring.container.id, PartitionKey("/id"))
        return cls(harness, there)

    async def backed_up(self, count: int, **properties: Any) -> list[RowRef]:
        """Store so many rows, and have a backup of the store in the other account."""
        refs = [await self.local.add(self.harness.old, **properties) for _ in range(count)]
        for item in (await self.rows()).values():
            await self.there.upsert_item({name: value for name, value in item.items() if name not in SYSTEM})
        return refs

    async def rows(self) -> dict[str, dict[str, Any]]:
        """Return every row as it is stored here, ETag included."""
        return {item["id"]: dict(item) for item in await self.harness.rows()}

    async def lose(self, refs: Sequence[RowRef]) -> None:
        """Delete rows here."""
        for ref in refs:
            await self.here.delete_item(ref.id, ref.partition)

    async def change(self, ref: RowRef, **properties: Any) -> None:
        """Change properties of a row here; ``...`` takes one away."""
        item = {**await self.local.item(ref), **properties}
        await self.here.replace_item(ref.id, {name: value for name, value in item.items() if value is not ...})

    def wanted(self, **more: Any) -> Wanted:
        """Return all rows, or what else is said."""
        return Wanted(**{"source": self.there, "name": "https://other/dbs/notes/colls/deks", **more})

    async def restore(self, *, tell: Callable[[str], None] = lambda _: None, **more: Any) -> Compared:
        """Copy rows back, as an operator does."""
        keyring = self.harness.resources.keyring(self.harness.keyring)
        return await restore_rows(self.harness.resources, keyring, self.wanted(**more), OPERATOR, tell=tell)

    async def record(self, run_id: str | None) -> MigrationRecord:
        """Return the run's record."""
        assert run_id is not None
        return await self.harness.resources.migrations.read(run_id)

    async def check_copied(self, refs: Sequence[RowRef], before: dict[str, dict[str, Any]]) -> None:
        """Check that these rows are as in the other account and open to their DEKs, and that no other has changed."""
        after, copied = await self.rows(), {ref.id for ref in refs}
        there = {item["id"]: item async for item in self.there.read_all_items()}
        assert {name: json.dumps(row) for name, row in after.items() if name not in copied} == {
            name: json.dumps(row) for name, row in before.items() if name not in copied
        }
        assert {name: own(after[name]) for name in copied} == {name: own(there[name]) for name in copied}
        for ref in refs:
            assert await self.local.unwrapped(ref) == self.local.deks[ref.id]
