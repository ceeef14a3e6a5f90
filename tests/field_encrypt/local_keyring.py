"""A key, a dek store and the library on them, as most tests of the library need them."""

import base64
from dataclasses import dataclass
from typing import Any, Self

from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt import DekCache, DekStore, FieldEncryption, KeyVaultProvider, RowDefaults
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_vault import Mek

NOTE: dict[str, Any] = {"id": "note-1", "title": "t", "author": {"name": "n"}, "parts": [{"text": 1}, {"text": None}]}
FIELDS = ["title", "author/name", "parts/*/text"]


@dataclass
class LocalKeyring:
    """A key with one version, a dek store, and the library on them with a cache."""

    mek: Mek
    version: str
    rows: ContainerProxy
    encryption: FieldEncryption

    @classmethod
    async def create(cls, mek: Mek, client: CosmosClient) -> Self:
        """Make a fresh version and dek store."""
        rows = await new_container(client, "deks")
        store = DekStore(rows, RowDefaults(mek_name=mek.name))
        version = await mek.create()
        return cls(mek, version, rows, FieldEncryption(KeyVaultProvider(mek.client), store, DekCache()))

    @property
    def store(self) -> DekStore:
        """Another view of the dek store."""
        return DekStore(self.rows, RowDefaults(mek_name=self.mek.name))

    async def dek_ids(self) -> set[str]:
        """Return the ids of all rows."""
        return {row["id"] async for row in self.rows.query_items("SELECT c.id FROM c")}

    def reader(self, cache: DekCache | None = None) -> FieldEncryption:
        """Return a reader that knows no DEK but those of its cache."""
        return FieldEncryption(KeyVaultProvider(self.mek.client), self.store, cache)

    async def encrypted(self) -> dict[str, Any]:
        """Encrypt the example note."""
        return await self.encryption.encrypt_fields("notes", "note-1", NOTE, FIELDS)

    async def row(self, dek_id: str) -> dict[str, Any]:
        """Return a row as it is stored."""
        return dict(await self.rows.read_item(dek_id, partition_key=dek_id))

    async def rewrap(self, dek_id: str, version: str) -> None:
        """Move a row to another version, as a rotation does."""
        row = await self.row(dek_id)
        wrapped = base64.b64decode(row["wrappedDek"])
        dek = await self.mek.client.unwrap(wrapped, row["mekVersion"], row["algorithm"])
        moved = self.mek.client.wrap(dek, await self.mek.client.fetch_version(version))
        await self.change(dek_id, mekVersion=version, wrappedDek=base64.b64encode(moved).decode())

    async def change(self, dek_id: str, **properties: Any) -> None:
        """Change properties of a row; None removes one."""
        changed = {**await self.row(dek_id), **properties}
        await self.rows.replace_item(dek_id, {name: value for name, value in changed.items() if value is not None})
