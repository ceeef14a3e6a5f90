"""I2: no row is ever unreadable to a reader that follows the row's own label; a deleted row stays deleted."""

from datetime import timedelta

import pytest
from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy, CosmosClient
from durabletask.task import RetryPolicy

from field_encrypt.row_patches import RowPatch
from field_encrypt.row_states import Row
from keyturn.contracts.pages import RowRef
from keyturn.contracts.states import State
from keyturn.deks.rewrap import rewrap_page
from orchestrators import watch
from tests.field_encrypt.local_cosmos import new_container
from tests.invariants.checks.rows import Reader, resurrected
from tests.invariants.crash import in_two_patches
from tests.invariants.harness import ActivityHarness
from tests.keyturn.deks.pages import Sink, dependencies, interfere, page_of
from tests.keyturn.local_keyring import LocalKeyring

SLOW = {"operation": "patch", "kind": "delay", "delayMs": 150, "count": None}


async def by_upsert(self: RowPatch, container: ContainerProxy) -> CosmosDict:
    """Write the whole row as it was read, with what changes, whatever is there now."""
    changed = {operation["path"][1:]: operation["value"] for operation in self.operations}
    return await container.upsert_item({**self.row.raw, **changed})


async def without_condition(self: RowPatch, container: ContainerProxy) -> CosmosDict:
    """Patch the row whatever became of it."""
    return await container.patch_item(self.row.id, self.partition_key, self.operations)


async def rewrap(harness: ActivityHarness, refs: list[RowRef]) -> None:
    """Rewrap the rows onto a new version."""
    target = await harness.local_keyring.mek.create()
    await rewrap_page(page_of(refs, target), dependencies(harness.local_keyring, Sink()))


async def delete(local_keyring: LocalKeyring, row: Row) -> None:
    """Delete a row, as its owner may at any time."""
    await local_keyring.container.delete_item(row.id, partition_key=row.partition)


async def test_rows_open_at_every_instant_of_a_rewrap(harness: ActivityHarness) -> None:
    """A reader that reads all the time, while writes are slow, opens every row every time."""
    refs = await harness.local_keyring.add_many(4, harness.old)
    harness.local_keyring.cosmos.fault(**SLOW)

    async with Reader(harness.local_keyring.container, harness.outside, [ref.id for ref in refs]).reading() as reader:
        await rewrap(harness, refs)

    assert reader.unreadable == []
    assert reader.samples > len(refs)


async def test_rows_open_at_every_instant_of_a_rotation(running_engine: ActivityHarness) -> None:
    """A whole rotation, disabling the old version included, leaves no instant in which a row does not open."""
    refs = await running_engine.local_keyring.add_many(6, running_engine.old)

    async with Reader(
        running_engine.local_keyring.container, running_engine.outside, [ref.id for ref in refs]
    ).reading() as reader:
        record = await running_engine.rotate()

    assert reader.unreadable == []
    assert ("completed", [running_engine.old]) == (record.state, record.retired)
    assert reader.samples > len(refs)


async def test_a_watch_that_cannot_look_takes_the_disable_back(
    running_engine: ActivityHarness, cosmos_client: CosmosClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container of the canaries is throttled after the disable: nobody knows whether documents open."""
    quick = RetryPolicy(first_retry_interval=timedelta(seconds=0.1), max_number_of_attempts=2)
    monkeypatch.setattr(watch, "RETRY", quick)
    notes = await new_container(cosmos_client, "notes")
    running_engine.encrypt_notes(notes)
    await running_engine.local_keyring.add(running_engine.old)
    record = await running_engine.start(watch="PT10M")
    await running_engine.begin(record)
    waiting = await running_engine.reaches(record, State.AWAITING_APPROVAL)
    await running_engine.decide(waiting)
    await running_engine.wake(waiting)
    await running_engine.reaches(record, State.WATCHING)
    running_engine.local_keyring.cosmos.fault(operation="query", kind="throttle", match=notes.id, count=None)

    ended = await running_engine.reaches(record, State.REINSTATED)

    assert f"verify was not possible: container {notes.id}" in ended.history[-1].detail
    assert [found.enabled for found in (await running_engine.versions.states()).values()] == [True, True]


async def test_a_row_deleted_under_a_rewrap_stays_deleted(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that its owner deletes between our read and our write is not written."""
    row = await harness.local_keyring.add(harness.old)
    interfere(harness.local_keyring, monkeypatch, lambda found: delete(harness.local_keyring, found))

    await rewrap(harness, [row])

    assert await resurrected(harness.local_keyring.container, [row.id]) == []


async def test_a_row_that_changed_is_read_again(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that another writer has given a new DEK between our read and our write keeps that DEK, and opens."""
    row, other = await harness.local_keyring.add_many(2, harness.old)
    interfere(harness.local_keyring, monkeypatch, lambda _: give_dek_of(harness.local_keyring, row, other))

    await rewrap(harness, [row])

    assert await harness.changed_deks() == []


async def give_dek_of(local_keyring: LocalKeyring, row: RowRef, other: RowRef) -> None:
    """Re-encrypt: the row's owner gives it another DEK."""
    properties = ("wrappedDek", "keyCheck")
    item = await local_keyring.item(other)
    operations = [{"op": "set", "path": f"/{name}", "value": item[name]} for name in properties]
    await local_keyring.container.patch_item(row.id, row.partition, operations)
    local_keyring.deks[row.id] = local_keyring.deks[other.id]


async def test_broken_label_and_wrap_in_two_writes(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two writes there is an instant in which the label does not fit the wrap: the reader meets it."""
    refs = await harness.local_keyring.add_many(4, harness.old)

    async with Reader(harness.local_keyring.container, harness.outside, [ref.id for ref in refs]).reading() as reader:
        monkeypatch.setattr(RowPatch, "send", in_two_patches(reader.whole_round))
        await rewrap(harness, refs)

    assert {ref.id for ref in refs} == {wrong.split()[1] for wrong in reader.unreadable}


async def test_broken_an_upsert_brings_a_deleted_row_back(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an upsert in the place of the patch the row that was deleted is there again."""
    row = await harness.local_keyring.add(harness.old)
    interfere(harness.local_keyring, monkeypatch, lambda found: delete(harness.local_keyring, found))
    monkeypatch.setattr(RowPatch, "send", by_upsert)

    await rewrap(harness, [row])

    assert await resurrected(harness.local_keyring.container, [row.id]) == [
        f"row {row.id} was deleted, and is there again"
    ]


async def test_broken_a_write_without_condition(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without If-Match the DEK that another writer has just given the row is lost."""
    row, other = await harness.local_keyring.add_many(2, harness.old)
    interfere(harness.local_keyring, monkeypatch, lambda _: give_dek_of(harness.local_keyring, row, other))
    monkeypatch.setattr(RowPatch, "send", without_condition)

    await rewrap(harness, [row])

    assert await harness.changed_deks() == [f"row {row.id} gives another DEK than it was created with"]
