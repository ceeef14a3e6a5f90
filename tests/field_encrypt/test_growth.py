"""How the dek store grows: with the key policy, not with the writes."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import DekCache, DekStore, EnvProvider, FieldEncryption, KeyPolicy, RowDefaults
from field_encrypt.encoding import to_base64
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.field_encrypt.local_vault import LocalVault
from tests.field_encrypt.notes import NOTE, Notes, own
from tests.local.services import REPOSITORY

DEFAULTS = RowDefaults(mek_name="env", algorithm="A256KW")
PROCESSES, EDITS = 4, 100


async def test_edits_of_one_document_by_four_processes_leave_one_row(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient
) -> None:
    """Four processes edit one document a hundred times each under the default policy: it keeps its one DEK."""
    deks, notes = await new_container(cosmos_client, "deks"), await new_container(cosmos_client, "notes")
    encryption = FieldEncryption(EnvProvider(to_base64(bytes(32))), DekStore(deks, DEFAULTS), DekCache())
    note = {"id": "note-1", "title": 0}
    await notes.create_item(await encryption.encrypt_fields("notes", "note-1", note, ["title"], partition_key="note-1"))

    arguments = [cosmos.url, cosmos.master_key, DATABASE, deks.id, notes.id, str(EDITS)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "SSL_CERT_FILE": str(vault.authority)}
    command = [sys.executable, "-m", "tests.field_encrypt.editor", *arguments]
    editors = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(PROCESSES)]
    codes = await asyncio.wait_for(asyncio.gather(*(editor.wait() for editor in editors)), 150)

    stored = await notes.read_item("note-1", partition_key="note-1")
    read = await encryption.decrypt_fields("notes", "note-1", stored, ["title"], partition_key="note-1")
    assert codes == [0] * PROCESSES
    assert read["title"] == PROCESSES * EDITS
    assert [stored["title"]["dekId"]] == [row["id"] async for row in deks.query_items("SELECT c.id FROM c")]


async def test_first_saves_at_once_leave_a_row_each_and_later_ones_none(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that one writer could plant is shared before the document is there; whoever wins, one row goes on."""
    containers = [notes.encrypted() for _ in range(PROCESSES)]
    met = asyncio.Barrier(PROCESSES)
    for container in containers:
        monkeypatch.setattr(container, "_stored", _together(container._stored, met))  # all see no document yet

    await asyncio.gather(*(container.upsert_item(NOTE) for container in containers))
    rows = await notes.dek_ids()
    for edit in range(3):
        await asyncio.gather(*(container.upsert_item({**NOTE, "title": edit}) for container in containers))

    assert len(rows) == PROCESSES
    assert await notes.dek_ids() == rows
    assert own(await notes.encrypted().read_item("note-1", "w-1")) == {**NOTE, "title": 2}


def _together[**Given, Result](
    call: Callable[Given, Awaitable[Result]], met: asyncio.Barrier
) -> Callable[Given, Awaitable[Result]]:
    async def wrapped(*given: Given.args, **named: Given.kwargs) -> Result:
        result = await call(*given, **named)
        await met.wait()
        return result

    return wrapped


@pytest.mark.parametrize(
    ("documents", "partitions"),
    [(2_000, 20), pytest.param(100_000, 100, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
async def test_rows_per_partition_are_those_of_the_partitions(
    cosmos_client: CosmosClient, documents: int, partitions: int
) -> None:
    """Two processes write documents of a hundred partitions: as many rows as partitions, and at most a tenth more."""
    deks = await new_container(cosmos_client, "deks")
    policy = KeyPolicy(per="partition")
    processes = [
        FieldEncryption(EnvProvider(to_base64(bytes(32))), DekStore(deks, DEFAULTS), DekCache(), policy=policy)
        for _ in range(2)
    ]

    async def write(encryption: FieldEncryption, first: int) -> list[dict[str, Any]]:
        notes = [{"id": f"note-{n}", "w": f"w-{n % partitions}", "title": n} for n in range(first, documents, 2)]
        return await encryption.encrypt_documents("notes", notes, ["title"], partition_key_paths=["/w"])

    written = await asyncio.gather(*(write(encryption, first) for first, encryption in enumerate(processes)))

    rows = {row["id"] async for row in deks.query_items("SELECT c.id FROM c")}
    named = {note["title"]["dekId"] for notes in written for note in notes}
    assert named == rows
    assert partitions <= len(rows) <= partitions * 11 // 10
    last = written[0][-1]
    read = await processes[1].decrypt_documents("notes", [last], None, partition_key_paths=["/w"])
    assert [int(last["id"].removeprefix("note-"))] == [note["title"] for note in read]
