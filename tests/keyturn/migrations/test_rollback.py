"""Rows rolled back: what the rotation rewrapped and nobody has changed since, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keyturn.contracts import Rollback, RunRef
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.rollback import Origins, roll_back_page
from keyturn.deks.rows import Row
from keyturn.deks.scan import choice_of
from keyturn.deks.store import WriteResult
from tests.keyturn.migrations.scene import page_of, versions_of
from tests.keyturn.rotation.pages import Sink, dependencies, item_without_system
from tests.keyturn.world import ROTATION, World

MIGRATION = "notes.m.20261124T130000Z.abcdef"
OTHER = "notes.20261125T120000Z.abcdef"


@pytest.fixture
async def two(world: World) -> tuple[str, str]:
    """The version that rows came from and the rotation's new one."""
    return await world.mek.create(), await world.mek.create()


async def rotated(world: World, two: tuple[str, str], count: int, run_id: str = ROTATION) -> list[RowRef]:
    """Store so many rows under the first version, and rewrap them as a rotation does."""
    refs = await world.add_many(count, two[0])
    await rewrap_page(page_of(run_id, two[1], refs), dependencies(world, Sink()))
    return refs


async def roll_back(
    world: World, two: tuple[str, str], refs: list[RowRef], sink: Sink, *, dry_run: bool = False
) -> PageResult:
    """Roll the page back."""
    work = Rollback(rotation=RunRef(run_id=ROTATION, keyring="notes", fencing_token=1), new_version=two[1])
    chosen = choice_of(work, [])
    origins = Origins(ROTATION, [two[0]], await versions_of(world).states())
    page = page_of(MIGRATION, two[1], refs, dry_run=dry_run)
    return await roll_back_page(page, replace(dependencies(world, sink), chosen=chosen), origins)


async def test_rows_get_their_previous_wrap_without_the_vault(world: World, two: tuple[str, str]) -> None:
    """The wrap of before is put back as it was; no row is unwrapped, and a second run finds nothing to do."""
    refs = await world.add_many(3, two[0])
    before = [await item_without_system(world, ref) for ref in refs]
    await rewrap_page(page_of(ROTATION, two[1], refs), dependencies(world, Sink()))
    calls = world.mek.vault.operations("worker").count("unwrap")

    first = await roll_back(world, two, refs, Sink())
    second = await roll_back(world, two, refs, Sink())

    assert (3, 0) == (first.changed, second.changed)
    assert before == [await item_without_system(world, ref) for ref in refs]
    assert calls == world.mek.vault.operations("worker").count("unwrap")


async def test_somebody_elses_rows_are_left_alone(world: World, two: tuple[str, str]) -> None:
    """Rows of a later rotation, rows that were created under the new version, and deleted ones are not touched."""
    third = await world.mek.create()
    mine, theirs = await rotated(world, two, 2), await rotated(world, two, 2)
    await rewrap_page(page_of(OTHER, third, theirs), dependencies(world, Sink()))
    created = await world.add(two[1])
    deleted = mine.pop()
    await world.container.delete_item(deleted.id, partition_key=deleted.partition)
    others = [*theirs, created]
    before = [await item_without_system(world, ref) for ref in others]

    result = await roll_back(world, two, [*mine, *others, deleted], Sink())

    assert (1, 3, 1) == (result.changed, result.unchanged, result.gone)
    assert before == [await item_without_system(world, ref) for ref in others]


@pytest.mark.parametrize("previous", [None, {"mekVersion": "?", "wrappedDek": "AAAA", "algorithm": "RSA-OAEP-256"}])
async def test_a_row_without_a_previous_wrap_is_rewrapped(
    world: World, two: tuple[str, str], previous: dict[str, str] | None
) -> None:
    """The same DEK goes under the version that the rotation replaced."""
    [ref] = await rotated(world, two, 1)
    item = await item_without_system(world, ref)
    await world.container.replace_item(ref.id, {**item, "previousWrap": previous})
    dek = await world.opened(ref)

    result = await roll_back(world, two, [ref], Sink())

    assert 1 == result.changed
    assert two[0] == (await world.item(ref))["mekVersion"]
    assert dek.reveal() == (await world.opened(ref)).reveal()


async def test_a_version_that_somebody_else_disabled_is_not_gone_back_to(world: World, two: tuple[str, str]) -> None:
    """The row stays where it opens, and is named."""
    [ref] = await rotated(world, two, 1)
    await world.mek.admin.update_key_properties(world.mek.name, two[0], enabled=False)
    before, sink = await item_without_system(world, ref), Sink()

    await roll_back(world, two, [ref], sink)

    assert {ref.id: ("version_disabled", two[1])} == sink.named
    assert before == await item_without_system(world, ref)


async def test_a_row_that_nobody_can_open_goes_back_without_being_opened(world: World, two: tuple[str, str]) -> None:
    """While the new version is disabled, the previous wrap still makes the row readable."""
    [ref] = await rotated(world, two, 1)
    await world.mek.admin.update_key_properties(world.mek.name, two[1], enabled=False)

    await roll_back(world, two, [ref], Sink())

    assert world.deks[ref.id].reveal() == (await world.opened(ref)).reveal()


async def test_a_dry_run_counts_what_the_rotation_itself_retired(world: World, two: tuple[str, str]) -> None:
    """Such a version will be enabled before rows move, so its rows can go back; nothing is written."""
    refs = await rotated(world, two, 2)
    until = datetime(2026, 12, 24, tzinfo=UTC)
    await versions_of(world).retire([two[0]], target_version=two[1], run_id=ROTATION, retain_until=until)
    before, sink = [await world.item(ref) for ref in refs], Sink()

    result = await roll_back(world, two, refs, sink, dry_run=True)

    assert (2, {}) == (result.changed, sink.named)
    assert before == [await world.item(ref) for ref in refs]


async def test_a_lost_race_reads_the_row_again(
    world: World, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that a later rotation rewraps between the read and the write is that rotation's from then on."""
    third = await world.mek.create()
    [ref] = await rotated(world, two, 1)
    restore = world.store.restore

    async def late(row: Row) -> WriteResult:
        await rewrap_page(page_of(OTHER, third, [ref]), dependencies(world, Sink()))
        return await restore(row)

    monkeypatch.setattr(world.store, "restore", late)

    result = await roll_back(world, two, [ref], Sink())

    assert (0, 1, 1) == (result.changed, result.unchanged, result.conflicts)
    assert third == (await world.item(ref))["mekVersion"]
