"""``python -m local.demo.outside``: looks at the result from outside, with plain SDK clients and nothing of Keyturn.

A process of its own with a client's environment. Prints one JSON object: rows by version, notes that decrypt, and
whether each version is enabled.
"""

import asyncio
import json
import os
from collections import Counter
from typing import Any

from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import (
    DekStore,
    FieldEncryptError,
    FieldEncryption,
    KeyVaultProvider,
    MekClient,
    RetryingProvider,
    RowDefaults,
)

# Readers at a time: the vault's limit of 50 unwraps a second is what bounds them.
READERS = 8
# Live traffic has ended by now, so a reader may wait for the vault's next windows as long as it takes.
PATIENCE_SECONDS = 120.0


async def look() -> dict[str, Any]:
    """Count the rows, decrypt every note, and read the state of every version."""
    environment = os.environ
    vault_url, mek_name = environment["AZURE_KEYVAULT_URL"], environment["FIELD_ENCRYPT_MEK_NAME"]
    async with (
        DefaultAzureCredential() as credential,
        CosmosClient(environment["COSMOS_ENDPOINT"], credential) as cosmos,
        KeyClient(vault_url, credential, verify_challenge_resource=False) as keys,
        MekClient(vault_url, mek_name, credential, verify_challenge_resource=False) as mek,
    ):
        database = cosmos.get_database_client(environment["COSMOS_DATABASE"])
        rows = database.get_container_client(environment["DEK_CONTAINER"])
        census = Counter([row.get("mekVersion", "(none)") async for row in rows.read_all_items()])
        provider = RetryingProvider(KeyVaultProvider(mek), patience_seconds=PATIENCE_SECONDS)
        encryption = FieldEncryption(provider, DekStore(rows, RowDefaults(mek_name=mek_name)), None)
        notes = await _read_notes(database.get_container_client(environment["NOTES_CONTAINER"]), encryption)
        versions = {
            str(version.version): bool(version.enabled)
            async for version in keys.list_properties_of_key_versions(mek_name)
        }
    return {"census": dict(census), "notes": notes, "versions": versions}


async def _read_notes(container: ContainerProxy, encryption: FieldEncryption) -> dict[str, int]:
    gate = asyncio.Semaphore(READERS)

    async def readable(note: dict[str, Any]) -> bool:
        async with gate:
            try:
                await encryption.decrypt_fields(container.id, note["id"], note, None, partition_key=note["workspaceId"])
            except FieldEncryptError:
                return False
            return True

    results = await asyncio.gather(*[readable(note) async for note in container.read_all_items()])
    return {"readable": sum(results), "unreadable": len(results) - sum(results)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(look())))
