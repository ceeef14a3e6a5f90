"""I2: no row is ever unreadable to a reader that follows the row's own label; a deleted row stays deleted."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from keyturn.contracts.pages import RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.rows import Row
from keyturn.deks.store import DekStore, WriteOutcome, WriteResult
from tests.invariants.checks.rows import Reader, resurrected
from tests.invariants.scene import Scene
from tests.keyturn.rotation.pages import Sink, dependencies, interfere, page_of
from tests.keyturn.world import World

SLOW = {"operation": "patch", "kind": "delay", "delayMs": 150, "count": None}


def in_two_patches(between: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[WriteResult]]:
    """Return a write of the label first, and of the rest in a second patch, with something between them."""

    async def patch(self: DekStore, row: Row, operations: list[dict[str, Any]]) -> WriteResult:
        label = [operation for operation in operations if operation["path"] == "/mekVersion"]
        await self.container.patch_item(row.id, self._partition_key(row), label)
        await between()
        rest = [operation for operation in operations if operation not in label]
        await self.container.patch_item(row.id, self._partition_key(row), rest)
        return WriteResult(WriteOutcome.WRITTEN, self._partition_key(row))

    return patch


async def by_upsert(self: DekStore, row: Row, operations: list[dict[str, Any]]) -> WriteResult:
    """Write the whole row as it was read, with what changes, whatever is there now."""
    changed = {operation["path"][1:]: operation["value"] for operation in operations}
    await self.container.upsert_item({**row.raw, **changed})
    return WriteResult(WriteOutcome.WRITTEN, self._partition_key(row))


async def without_condition(self: DekStore, row: Row, operations: list[dict[str, Any]]) -> WriteResult:
    """Patch the row whatever became of it."""
    await self.container.patch_item(row.id, self._partition_key(row), operations)
    return WriteResult(WriteOutcome.WRITTEN, self._partition_key(row))


async def rewrap(scene: Scene, refs: list[RowRef]) -> None:
    """Rewrap the rows onto a new version."""
    target = await scene.world.mek.create()
    await rewrap_page(page_of(refs, target), dependencies(scene.world, Sink()))


async def delete(world: World, row: Row) -> None:
    """Delete a row, as its owner may at any time."""
    await world.container.delete_item(row.id, partition_key=row.partition)


async def test_rows_open_at_every_instant_of_a_rewrap(scene: Scene) -> None:
    """A reader that reads all the time, while writes are slow, opens every row every time."""
    refs = await scene.world.add_many(4, scene.old)
    scene.world.cosmos.fault(**SLOW)

    async with Reader(scene.world.container, scene.outside, [ref.id for ref in refs]).reading() as reader:
        await rewrap(scene, refs)

    assert [] == reader.unreadable
    assert reader.samples > len(refs)


async def test_rows_open_at_every_instant_of_a_rotation(playing: Scene) -> None:
    """A whole rotation, disabling the old version included, leaves no instant in which a row does not open."""
    refs = await playing.world.add_many(6, playing.old)

    async with Reader(playing.world.container, playing.outside, [ref.id for ref in refs]).reading() as reader:
        record = await playing.rotate()

    assert [] == reader.unreadable
    assert ("completed", [playing.old]) == (record.state, record.retired)
    assert reader.samples > len(refs)


async def test_a_row_deleted_under_a_rewrap_stays_deleted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that its owner deletes between our read and our write is not written."""
    row = await scene.world.add(scene.old)
    interfere(scene.world, monkeypatch, lambda found: delete(scene.world, found))

    await rewrap(scene, [row])

    assert [] == await resurrected(scene.world.container, [row.id])


async def test_a_row_that_changed_is_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that another writer has given a new DEK between our read and our write keeps that DEK, and opens."""
    row, other = await scene.world.add_many(2, scene.old)
    interfere(scene.world, monkeypatch, lambda _: give_dek_of(scene.world, row, other))

    await rewrap(scene, [row])

    assert [] == await scene.changed_deks()


async def give_dek_of(world: World, row: RowRef, other: RowRef) -> None:
    """Re-encrypt: the row's owner gives it another DEK."""
    properties = ("wrappedDek", "keyCheck")
    item = await world.item(other)
    operations = [{"op": "set", "path": f"/{name}", "value": item[name]} for name in properties]
    await world.container.patch_item(row.id, row.partition, operations)
    world.deks[row.id] = world.deks[other.id]


async def test_broken_label_and_wrap_in_two_writes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two writes there is an instant in which the label does not fit the wrap: the reader meets it."""
    refs = await scene.world.add_many(4, scene.old)

    async with Reader(scene.world.container, scene.outside, [ref.id for ref in refs]).reading() as reader:
        monkeypatch.setattr(DekStore, "_patch", in_two_patches(reader.whole_round))
        await rewrap(scene, refs)

    assert {ref.id for ref in refs} == {wrong.split()[1] for wrong in reader.unreadable}


async def test_broken_an_upsert_brings_a_deleted_row_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an upsert in the place of the patch the row that was deleted is there again."""
    row = await scene.world.add(scene.old)
    interfere(scene.world, monkeypatch, lambda found: delete(scene.world, found))
    monkeypatch.setattr(DekStore, "_patch", by_upsert)

    await rewrap(scene, [row])

    assert [f"row {row.id} was deleted, and is there again"] == await resurrected(scene.world.container, [row.id])


async def test_broken_a_write_without_condition(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without If-Match the DEK that another writer has just given the row is lost."""
    row, other = await scene.world.add_many(2, scene.old)
    interfere(scene.world, monkeypatch, lambda _: give_dek_of(scene.world, row, other))
    monkeypatch.setattr(DekStore, "_patch", without_condition)

    await rewrap(scene, [row])

    assert [f"row {row.id} gives another DEK than it was created with"] == await scene.changed_deks()
