"""A re-encryption that is killed at any moment leaves every document readable, and no row without its document."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from local.identity.roles import ROLES
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.field_encrypt.local_vault import LocalVault
from tests.keyturn.documents.harness import FIELDS, NAME, DocumentsHarness, dek_ids_of, note, own
from tests.local.services import REPOSITORY

KILLS = 50
DOCUMENTS = 300
BETWEEN_SAMPLES_SECONDS = 0.04  # the machine is for the migration


def harness_of(
    documents_harness: DocumentsHarness, records: ContainerProxy, vault: LocalVault, cosmos: LocalCosmos
) -> str:
    """Return what the child processes are told."""
    sides = {"source": documents_harness.source, "target": documents_harness.target}
    return json.dumps(
        {
            "authority": str(Path(vault.authority)),
            "vault": vault.url,
            "cosmos": cosmos.url,
            "key": (cosmos._state / "master_key").read_text().strip(),
            "database": DATABASE,
            "documents": documents_harness.container.id,
            "records": records.id,
            **{name: {"mek": side.mek.name, "rows": side.rows.id} for name, side in sides.items()},
        }
    )


async def fill(documents_harness: DocumentsHarness) -> list[str]:
    """Store the documents under the source, and return their ids."""
    names = [f"note-{number}" for number in range(DOCUMENTS)]
    plain = [note(name) for name in names]
    encryption = documents_harness.source.encryption
    for document in await encryption.encrypt_documents(NAME, plain, FIELDS, partition_key_paths=["/id"]):
        await documents_harness.container.create_item(document)
    return names


async def readable(documents_harness: DocumentsHarness, name: str) -> bool:
    """Tell whether the document reads as it was written, by the side that its DEK is on now."""
    document = own(await documents_harness.stored(name))
    (dek_id,) = dek_ids_of(document)  # never some fields under one DEK and some under another
    side = documents_harness.target if await has(documents_harness.target.rows, dek_id) else documents_harness.source
    return note(name) == await side.encryption.decrypt_fields(NAME, name, document, FIELDS, partition_key=name)


async def has(rows: ContainerProxy, dek_id: str) -> bool:
    """Tell whether there is such a row."""
    query = "SELECT c.id FROM c WHERE c.id = @id"
    parameters: list[dict[str, Any]] = [{"name": "@id", "value": dek_id}]
    return [{"id": dek_id}] == [
        row async for row in rows.query_items(query, parameters=parameters, partition_key=dek_id)
    ]


@pytest.mark.timeout(600)  # ten seconds on an idle machine, some minutes on a very busy one
async def test_fifty_kills_leave_every_document_readable_and_no_row_over(
    documents_harness: DocumentsHarness, cosmos_client: CosmosClient, vault: LocalVault, cosmos: LocalCosmos
) -> None:
    """Through fifty SIGKILLs every sampled document decrypts; at the end all do, each under a row of its own."""
    names, records = await fill(documents_harness), await new_container(cosmos_client, "keyturn", "/keyring")
    old = await documents_harness.source.row_ids()
    environment = {
        **os.environ,
        **vault.principal("migration", *ROLES["Key Vault Crypto Service Encryption User"]),
        "PYTHONPATH": str(REPOSITORY),
        "SCENE": harness_of(documents_harness, records, vault, cosmos),
    }
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.keyturn.documents.killed_migration", str(KILLS)],
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    ended = asyncio.ensure_future(process.communicate())
    picked = random.Random(1)  # noqa: S311 - repeatable on purpose, no security rests on it
    sampled, failed = 0, list[str]()
    while not ended.done():
        name = picked.choice(names)
        sampled += 1
        if not await readable(documents_harness, name):
            failed.append(name)
        await asyncio.wait([ended], timeout=BETWEEN_SAMPLES_SECONDS)
    output, _ = await ended
    named = [dek_ids_of(await documents_harness.stored(name)) for name in names]

    assert (0, str(KILLS)) == (process.returncode, output.decode())
    assert (failed, sampled > 2 * KILLS) == ([], True)
    assert all([await readable(documents_harness, name) for name in names])
    assert set().union(*named) == await documents_harness.target.row_ids()
    assert len(await documents_harness.target.row_ids()) == DOCUMENTS
    assert await documents_harness.source.row_ids() == old
