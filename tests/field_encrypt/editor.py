"""``python -m tests.field_encrypt.editor URL KEY DATABASE DEKS NOTES EDITS``: one process that edits one document."""

import asyncio
import sys
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosAccessConditionFailedError

from field_encrypt import DekCache, DekStore, EnvProvider, FieldEncryption, RowDefaults
from field_encrypt.encoding import to_base64


async def edit(url: str, key: str, names: list[str], edits: int) -> None:
    """Read, change and replace the note as an application does; an edit that lost a race is done again."""
    database_name, deks, notes_name = names
    async with CosmosClient(url, key) as client:
        database = client.get_database_client(database_name)
        notes = database.get_container_client(notes_name)
        store = DekStore(database.get_container_client(deks), RowDefaults(mek_name="env", algorithm="A256KW"))
        encryption = FieldEncryption(EnvProvider(to_base64(bytes(32))), store, DekCache())
        done = 0
        while done < edits:
            stored = await notes.read_item("note-1", partition_key="note-1")
            note: dict[str, Any] = await encryption.decrypt_fields(
                "notes", "note-1", stored, ["title"], partition_key="note-1"
            )
            note["title"] += 1
            encrypted = await encryption.encrypt_fields(
                "notes", "note-1", note, ["title"], partition_key="note-1", previous=stored
            )
            try:
                await notes.replace_item(
                    "note-1", encrypted, etag=stored["_etag"], match_condition=MatchConditions.IfNotModified
                )
            except CosmosAccessConditionFailedError:
                continue
            done += 1


if __name__ == "__main__":
    _, url, key, *names, edits = sys.argv
    asyncio.run(edit(url, key, names, int(edits)))
