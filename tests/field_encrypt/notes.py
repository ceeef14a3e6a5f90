"""An encrypted container of notes with its dek store, as the tests of it need them."""

from datetime import date
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt import (
    DekCache,
    DekStore,
    EncryptedContainer,
    EnvProvider,
    FieldEncryption,
    FieldPolicy,
    KeyPolicy,
    RowDefaults,
)
from field_encrypt.encoding import to_base64

FIELDS, OPTIONAL = ["title", "author/name", "parts/*/text"], ["due", "price"]

NOTE: dict[str, Any] = {
    "id": "note-1",
    "workspaceId": "w-1",
    "title": "t",
    "author": {"name": "n", "team": "x"},
    "parts": [{"text": 1}, {"text": None}],
    "due": date(2026, 12, 24),
}


def own(item: Any) -> dict[str, Any]:
    """Return what the application stored, without what Cosmos DB adds."""
    return {name: value for name, value in item.items() if not name.startswith("_")}


class Notes:
    """Notes in a container of their own, with their dek store."""

    def __init__(self, container: ContainerProxy, deks: ContainerProxy) -> None:
        self.raw, self.deks = container, deks
        self.policy = FieldPolicy(container.id, FIELDS, OPTIONAL)

    def encrypted(self, policy: KeyPolicy | None = None, context: dict[str, Any] | None = None) -> EncryptedContainer:
        """Return the container as one more process has it."""
        store = DekStore(self.deks, RowDefaults(mek_name="env", algorithm="A256KW"))
        provider = EnvProvider(to_base64(bytes(32)))
        encryption = FieldEncryption(provider, store, DekCache(), policy=policy or KeyPolicy())
        return EncryptedContainer(self.raw, encryption, self.policy, context=context)

    async def stored(self, item: str = "note-1") -> dict[str, Any]:
        """Return a document as it is stored."""
        return await self.raw.read_item(item, partition_key="w-1")

    async def dek_ids(self) -> set[str]:
        """Return the ids of all rows."""
        return {row["id"] async for row in self.deks.query_items("SELECT c.id FROM c")}
