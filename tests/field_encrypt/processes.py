"""Processes of an application, each with the library of its own, that share nothing but a dek store."""

from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt import (
    DekCache,
    DekStore,
    EnvProvider,
    FieldEncryption,
    KeyPolicy,
    RowDefaults,
)
from field_encrypt.encoding import to_base64


def process(rows: ContainerProxy, policy: KeyPolicy) -> FieldEncryption:
    """Return the library as one more process has it: nothing is shared with another one but the dek store."""
    store = DekStore(rows, RowDefaults(mek_name="env", algorithm="A256KW"))
    return FieldEncryption(EnvProvider(to_base64(bytes(32))), store, DekCache(), policy=policy)


async def save(encryption: FieldEncryption, number: int, previous: dict[str, Any] | None = None, w: str = "w-1") -> Any:
    """Encrypt the title of one document, and return the whole."""
    note = {"id": f"note-{number}", "workspaceId": w, "title": f"t{number}"}
    return await encryption.encrypt_fields("notes", note["id"], note, ["title"], partition_key=w, previous=previous)


async def stored_rows(rows: ContainerProxy) -> dict[str, dict[str, Any]]:
    """Return every row."""
    return {row["id"]: row async for row in rows.query_items("SELECT * FROM c")}
