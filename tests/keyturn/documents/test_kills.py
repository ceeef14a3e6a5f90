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
from tests.keyturn.documents.scene import FIELDS, NAME, Scene, dek_ids_of, note, own
from tests.local.services import REPOSITORY

KILLS = 50
DOCUMENTS = 300
BETWEEN_SAMPLES_SECONDS = 0.04  # the machine is for the migration


def scene_of(scene: Scene, records: ContainerProxy, vault: LocalVault, cosmos: LocalCosmos) -> str:
    """Return what the child processes are told."""
    sides = {"source": scene.source, "target": scene.target}
    return json.dumps(
        {
            "authority": str(Path(vault.authority)),
            "vault": vault.url,
            "cosmos": cosmos.url,
            "key": (cosmos._state / "master_key").read_text().strip(),
            "database": DATABASE,
            "documents": scene.container.id,
            "records": records.id,
            **{name: {"mek": side.mek.name, "rows": side.rows.id} for name, side in sides.items()},
        }
    )


async def fill(scene: Scene) -> list[str]:
    """Store the documents under the source, and return their ids."""
    names = [f"note-{number}" for number in range(DOCUMENTS)]
    plain = [note(name) for name in names]
    for document in await scene.source.encryption.encrypt_documents(NAME, plain, FIELDS):
        await scene.container.create_item(document)
    return names


async def readable(scene: Scene, name: str) -> bool:
    """Tell whether the document reads as it was written, by the side that its DEK is on now."""
    document = own(await scene.stored(name))
    (dek_id,) = dek_ids_of(document)  # never some fields under one DEK and some under another
    side = scene.target if await has(scene.target.rows, dek_id) else scene.source
    return note(name) == await side.encryption.decrypt_fields(NAME, name, document, FIELDS)


async def has(rows: ContainerProxy, dek_id: str) -> bool:
    """Tell whether there is such a row."""
    query = "SELECT c.id FROM c WHERE c.id = @id"
    parameters: list[dict[str, Any]] = [{"name": "@id", "value": dek_id}]
    return [{"id": dek_id}] == [
        row async for row in rows.query_items(query, parameters=parameters, partition_key=dek_id)
    ]


@pytest.mark.timeout(600)  # ten seconds on an idle machine, some minutes on a very busy one
async def test_fifty_kills_leave_every_document_readable_and_no_row_over(
    scene: Scene, cosmos_client: CosmosClient, vault: LocalVault, cosmos: LocalCosmos
) -> None:
    """Through fifty SIGKILLs every sampled document decrypts; at the end all do, each under a row of its own."""
    names, records = await fill(scene), await new_container(cosmos_client, "keyturn", "/keyring")
    old = await scene.source.row_ids()
    environment = {
        **os.environ,
        **vault.principal("migration", *ROLES["Key Vault Crypto Service Encryption User"]),
        "PYTHONPATH": str(REPOSITORY),
        "SCENE": scene_of(scene, records, vault, cosmos),
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
        if not await readable(scene, name):
            failed.append(name)
        await asyncio.wait([ended], timeout=BETWEEN_SAMPLES_SECONDS)
    output, _ = await ended
    named = [dek_ids_of(await scene.stored(name)) for name in names]

    assert (0, str(KILLS)) == (process.returncode, output.decode())
    assert ([], True) == (failed, sampled > 2 * KILLS)
    assert all([await readable(scene, name) for name in names])
    assert set().union(*named) == await scene.target.row_ids()
    assert DOCUMENTS == len(await scene.target.row_ids())
    assert old == await scene.source.row_ids()
