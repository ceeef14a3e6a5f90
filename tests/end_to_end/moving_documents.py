"""What migrations of documents need beside the stage: rights to change documents, and a second keyring for them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from field_encrypt import DekStore, FieldEncryption, KeyVaultProvider, RetryingProvider, RowDefaults
from local.identity.roles import assigned, container
from local.supervisor import LocalAzure
from local.supervisor.environment import (
    COSMOS_DATABASE,
    DEK_CONTAINER,
    KEYRING,
    MEK_NAME,
    NOTE_FIELDS,
    NOTES_CONTAINER,
)
from local.supervisor.tenant import DOCUMENT_MIGRATIONS
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK

RECOVERED, RECOVERED_MEK, RECOVERED_DEKS = "recovered", "recovered-mek", "recovered_deks"
APP = "principals/keyturn"


def rights_of_one_keyring() -> list[str]:
    """Return what the app may do only while documents are migrated."""
    return [action for role, scope in DOCUMENT_MIGRATIONS for action in assigned(role, scope)]


def rights() -> list[str]:
    """Return the same, and what moving documents to the second keyring takes."""
    target = container(COSMOS_DATABASE, RECOVERED_DEKS)
    return [*rights_of_one_keyring(), *assigned("Keyturn new DEKs", target), *assigned("Keyturn dek store", target)]


def two_keyrings(azure: LocalAzure) -> dict[str, str]:
    """Return settings by which the same notes may be under either of two keys, with a dek store each."""
    where = {
        "vaultUrl": azure.layout.url("key_vault"),
        "cosmosDatabase": COSMOS_DATABASE,
        "verifyChallengeResource": False,
        "documents": [{"name": NOTES_CONTAINER, "fields": NOTE_FIELDS, "partitionKey": "workspaceId"}],
    }
    own = {"name": KEYRING, "mekName": MEK_NAME, "dekContainer": DEK_CONTAINER}
    recovered = {"name": RECOVERED, "mekName": RECOVERED_MEK, "dekContainer": RECOVERED_DEKS}
    return {**QUICK, "KEYTURN_KEYRINGS": json.dumps([{**own, **where}, {**recovered, **where}])}


async def allow(app: AppHarness, held: list[str]) -> None:
    """Let the app hold these rights; it is started again, because its tokens say what it was allowed before."""
    app.control("identity", "PUT", APP, json={"roles": held})
    app.azure.processes["functions_host"].kill()
    await asyncio.to_thread(app.azure.start, "functions_host")


async def all_notes(app: AppHarness) -> dict[str, dict[str, Any]]:
    """Return every note as it is stored, by its id."""
    return {note["id"]: note async for note in app.notes.read_all_items()}


def deks_of(notes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the dekId of each note, whose fields must agree."""
    named = [{note[field]["dekId"] for field in NOTE_FIELDS} for note in notes.values()]
    assert {len(deks) for deks in named} == {1}
    return [deks.pop() for deks in named]


async def read(app: AppHarness, note: Mapping[str, Any]) -> dict[str, Any]:
    """Decrypt a note by the key and dek store that the app harness looks at."""
    store = DekStore(app.rows, RowDefaults(mek_name=app.mek_name))
    encryption = FieldEncryption(RetryingProvider(KeyVaultProvider(app.mek)), store, None)
    key = note["workspaceId"]
    return await encryption.decrypt_fields(NOTES_CONTAINER, note["id"], note, NOTE_FIELDS, partition_key=key)
