"""Rows rolled back: what the rotation rewrapped and nobody has changed since, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from field_encrypt.dek import Dek, key_check
from field_encrypt.row_states import Row
from keyturn.contracts.base import RunRef
from keyturn.contracts.migrations import Rollback
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.rollback import Origins, roll_back_page
from keyturn.deks.scan import row_filter_of
from keyturn.deks.store import WriteResult
from tests.keyturn.deks.pages import Sink, dependencies, item_without_system
from tests.keyturn.local_keyring import ROTATION, LocalKeyring, encoded
from tests.keyturn.migrations.harness import page_of, versions_of

MIGRATION = "notes.m.20261124T130000Z.abcdef"
OTHER = "notes.20261125T120000Z.abcdef"


@pytest.fixture
async def two(local_keyring: LocalKeyring) -> tuple[str, str]:
    """The version that rows came from and the rotation's new one."""
    return await local_keyring.mek.create(), await local_keyring.mek.create()


async def rotated(
    local_keyring: LocalKeyring, two: tuple[str, str], count: int, run_id: str = ROTATION
) -> list[RowRef]:
    """Store so many rows under the first version, and rewrap them as a rotation does."""
    refs = await local_keyring.add_many(count, two[0])
    await rewrap_page(page_of(run_id, two[1], refs), dependencies(local_keyring, Sink()))
    return refs


async def roll_back(
    local_keyring: LocalKeyring, two: tuple[str, str], refs: list[RowRef], sink: Sink, *, dry_run: bool = False
) -> PageResult:
    """Roll the page back."""
    work = Rollback(rotation=RunRef(run_id=ROTATION, keyring="notes", fencing_token=1), new_version=two[1])
    chosen = row_filter_of(work, [])
    origins = Origins(ROTATION, [two[0]], await versions_of(local_keyring).states())
    page = page_of(MIGRATION, two[1], refs, dry_run=dry_run)
    return await roll_back_page(page, replace(dependencies(local_keyring, sink), chosen=chosen), origins)


async def test_rows_get_their_previous_wrap_in_exchange(local_keyring: LocalKeyring, two: tuple[str, str]) -> None:
    """The wrap of before is put back as it was, once it was unwrapped; a second run finds nothing to do."""
    refs = await local_keyring.add_many(3, two[0])
    before = [await item_without_system(local_keyring, ref) for ref in refs]
    await rewrap_page(page_of(ROTATION, two[1], refs), dependencies(local_keyring, Sink()))
    calls = local_keyring.mek.operations.count("unwrap")

    first = await roll_back(local_keyring, two, refs, Sink())
    second = await roll_back(local_keyring, two, refs, Sink())

    assert (first.changed, second.changed) == (3, 0)
    kept = [await item_without_system(local_keyring, ref) for ref in refs]
    assert {item.pop("previousWrap")["mekVersion"] for item in kept} == {two[1]}
    assert {item.pop("fence") for item in kept} == {1}
    assert kept == before
    assert local_keyring.mek.operations.count("unwrap") == calls + 3


async def test_rows_of_another_run_are_left_alone(local_keyring: LocalKeyring, two: tuple[str, str]) -> None:
    """Rows of a later rotation, rows that were created under the new version, and deleted ones are not touched."""
    third = await local_keyring.mek.create()
    mine, theirs = await rotated(local_keyring, two, 2), await rotated(local_keyring, two, 2)
    await rewrap_page(page_of(OTHER, third, theirs), dependencies(local_keyring, Sink()))
    created = await local_keyring.add(two[1])
    deleted = mine.pop()
    await local_keyring.container.delete_item(deleted.id, partition_key=deleted.partition)
    others = [*theirs, created]
    before = [await item_without_system(local_keyring, ref) for ref in others]

    result = await roll_back(local_keyring, two, [*mine, *others, deleted], Sink())

    assert (result.changed, result.unchanged, result.gone) == (1, 3, 1)
    assert [await item_without_system(local_keyring, ref) for ref in others] == before


@pytest.mark.parametrize("previous", [None, {"mekVersion": "?", "wrappedDek": "AAAA", "algorithm": "RSA-OAEP-256"}])
async def test_a_row_without_a_previous_wrap_is_rewrapped(
    local_keyring: LocalKeyring, two: tuple[str, str], previous: dict[str, str] | None
) -> None:
    """The same DEK goes under the version that the rotation replaced."""
    [ref] = await rotated(local_keyring, two, 1)
    item = await item_without_system(local_keyring, ref)
    await local_keyring.container.replace_item(ref.id, {**item, "previousWrap": previous})
    dek = await local_keyring.unwrapped(ref)

    result = await roll_back(local_keyring, two, [ref], Sink())

    assert result.changed == 1
    assert two[0] == (await local_keyring.item(ref))["mekVersion"]
    assert dek.reveal() == (await local_keyring.unwrapped(ref)).reveal()


async def test_a_previous_wrap_that_does_not_unwrap_is_not_put_back(
    local_keyring: LocalKeyring, two: tuple[str, str]
) -> None:
    """A damaged previous wrap is replaced by one of the same DEK: the row's only good wrap is never thrown away."""
    [ref] = await rotated(local_keyring, two, 1)
    item = await item_without_system(local_keyring, ref)
    damaged = {**item["previousWrap"], "wrappedDek": encoded(bytes(256))}
    await local_keyring.container.replace_item(ref.id, {**item, "previousWrap": damaged})

    result = await roll_back(local_keyring, two, [ref], Sink())

    assert result.changed == 1
    assert (await local_keyring.item(ref))["mekVersion"] == two[0]
    assert (await local_keyring.unwrapped(ref)).reveal() == local_keyring.deks[ref.id].reveal()


@pytest.mark.parametrize("with_key_check", [True, False])
async def test_a_dek_that_the_owner_gave_the_row_since_is_kept(
    local_keyring: LocalKeyring, two: tuple[str, str], *, with_key_check: bool
) -> None:
    """The previous wrap is of another DEK by then: the row's own is wrapped under the version that it came from."""
    [ref] = await rotated(local_keyring, two, 1)
    item, dek = await item_without_system(local_keyring, ref), Dek.generate()
    wrapped = local_keyring.mek.client.wrap(dek.reveal(), await local_keyring.mek.client.fetch_version(two[1]))
    item["wrappedDek"], item["keyCheck"] = encoded(wrapped), encoded(key_check(dek))
    if not with_key_check:
        del item["keyCheck"]
    await local_keyring.container.replace_item(ref.id, item)

    result = await roll_back(local_keyring, two, [ref], Sink())

    assert result.changed == 1
    assert (await local_keyring.item(ref))["mekVersion"] == two[0]
    assert (await local_keyring.unwrapped(ref)).reveal() == dek.reveal()


async def test_a_version_that_another_disabled_is_not_gone_back_to(
    local_keyring: LocalKeyring, two: tuple[str, str]
) -> None:
    """The row stays where it opens, and is named."""
    [ref] = await rotated(local_keyring, two, 1)
    await local_keyring.mek.admin.update_key_properties(local_keyring.mek.name, two[0], enabled=False)
    before, sink = await item_without_system(local_keyring, ref), Sink()

    await roll_back(local_keyring, two, [ref], sink)

    assert {ref.id: ("version_disabled", two[1])} == sink.named
    assert await item_without_system(local_keyring, ref) == before


async def test_a_row_that_cannot_be_opened_goes_back_without_being_opened(
    local_keyring: LocalKeyring, two: tuple[str, str]
) -> None:
    """While the new version is disabled, the previous wrap still makes the row readable."""
    [ref] = await rotated(local_keyring, two, 1)
    await local_keyring.mek.admin.update_key_properties(local_keyring.mek.name, two[1], enabled=False)

    await roll_back(local_keyring, two, [ref], Sink())

    assert local_keyring.deks[ref.id].reveal() == (await local_keyring.unwrapped(ref)).reveal()


async def test_a_dry_run_counts_what_the_rotation_itself_retired(
    local_keyring: LocalKeyring, two: tuple[str, str]
) -> None:
    """Such a version will be enabled before rows move, so its rows can go back; nothing is written."""
    refs = await rotated(local_keyring, two, 2)
    until = datetime(2026, 12, 24, tzinfo=UTC)
    await versions_of(local_keyring).retire([two[0]], target_version=two[1], run_id=ROTATION, retain_until=until)
    before, sink = [await local_keyring.item(ref) for ref in refs], Sink()

    result = await roll_back(local_keyring, two, refs, sink, dry_run=True)

    assert (result.changed, sink.named) == (2, {})
    assert [await local_keyring.item(ref) for ref in refs] == before


async def test_a_lost_race_reads_the_row_again(
    local_keyring: LocalKeyring, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that a later rotation rewraps between the read and the write is that rotation's from then on."""
    third = await local_keyring.mek.create()
    [ref] = await rotated(local_keyring, two, 1)
    exchange = local_keyring.store.exchange

    async def late(row: Row, fence: int) -> WriteResult:
        await rewrap_page(page_of(OTHER, third, [ref]), dependencies(local_keyring, Sink()))
        return await exchange(row, fence)

    monkeypatch.setattr(local_keyring.store, "exchange", late)

    result = await roll_back(local_keyring, two, [ref], Sink())

    assert (result.changed, result.unchanged, result.conflicts) == (0, 1, 1)
    assert (await local_keyring.item(ref))["mekVersion"] == third
