"""Rewrapped rows proven with the new version, and taken back where the proof fails."""

from typing import Any

import pytest

from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.page import PageDependencies
from keyturn.deks.proof import prove_page
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.store import DekStore
from keyturn.errors import PermissionMissingError, ResourceMissingError
from tests.field_encrypt.local_cosmos import DATABASE
from tests.keyturn.clocks import ManualClock
from tests.keyturn.rotation.pages import Sink, dependencies, item_without_system, page_of
from tests.keyturn.world import ROTATION, World, encoded


@pytest.fixture
async def versions(world: World) -> tuple[str, str]:
    """An older version and the target, in the order of their creation."""
    return await world.mek.create(), await world.mek.create()


async def rewrapped(world: World, count: int, versions: tuple[str, str], **properties: Any) -> list[RowRef]:
    """Store rows under the older version and rewrap them."""
    refs = [await world.add(versions[0], **properties) for _ in range(count)]
    await rewrap_page(page_of(refs, versions[1]), dependencies(world, Sink()))
    return refs


async def prove(world: World, refs: list[RowRef], target: str, sink: Sink) -> PageResult:
    """Prove a page."""
    return await prove_page(page_of(refs, target), dependencies(world, sink, clock=ManualClock()))


async def corrupt(world: World, ref: RowRef, **values: Any) -> None:
    """Change properties of a row behind everybody's back; ``...`` removes one."""
    item = {**await item_without_system(world, ref), **values}
    await world.container.upsert_item({name: value for name, value in item.items() if value is not ...})


async def test_rewrapped_rows_are_proven(world: World, versions: tuple[str, str]) -> None:
    """Every row opens with the new version to the DEK of its key check, at one vault call each, and is not changed."""
    refs = await rewrapped(world, 6, versions)
    before = [await world.item(ref) for ref in refs]
    sink = Sink()

    result = await prove(world, refs, versions[1], sink)

    assert (result.changed, result.vault_operations, sink.rows) == (6, 6, [])
    assert before == [await world.item(ref) for ref in refs]


async def test_rows_that_moved_on_are_not_proven(world: World, versions: tuple[str, str]) -> None:
    """A deleted row is gone; a row that another writer took back to the old version is not counted as proven."""
    deleted, taken_back, others = await rewrapped(world, 3, versions)
    await world.container.delete_item(deleted.id, partition_key=deleted.partition)
    await corrupt(world, taken_back, mekVersion=versions[0])
    await corrupt(world, others, rotationId="notes.20250101T000000Z.000000")
    sink = Sink()

    result = await prove(world, [deleted, taken_back, others], versions[1], sink)

    assert (result.changed, result.gone, result.unchanged, sink.rows) == (0, 1, 2, [])


async def test_a_row_read_from_a_replica_that_lags_is_read_again(world: World, versions: tuple[str, str]) -> None:
    """A reader in another process takes neither the row's earlier state nor its absence for the present."""
    world.control_cosmos("settings", replicaLagMs=400)
    (ref,) = await rewrapped(world, 1, versions)
    async with world.cosmos.client() as another:
        container = another.get_database_client(DATABASE).get_container_client(world.container.id)
        behind = PageDependencies(DekStore(container, world.keyring), world.mek.client, Sink().take)

        result = await prove_page(page_of([ref], versions[1]), behind)

    assert (result.changed, result.gone, result.unchanged) == (1, 0, 0)


CORRUPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "the wrap does not unwrap": ({"wrappedDek": encoded(bytes(256))}, "unwrap_refused"),
    "the wrap is no base64": ({"wrappedDek": "!"}, "malformed_wrap"),
    "the algorithm was changed": ({"algorithm": "RSA-OAEP"}, "unwrap_refused"),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
async def test_a_row_that_does_not_open_gets_its_old_wrap_back(
    world: World, versions: tuple[str, str], case: str
) -> None:
    """The row is what it was before the rewrap and can be read again; it is quarantined with its reason."""
    values, reason = CORRUPTIONS[case]
    (ref,) = await rewrapped(world, 1, versions)
    await corrupt(world, ref, **values)
    sink = Sink()

    result = await prove(world, [ref], versions[1], sink)

    item = await world.item(ref)
    assert sink.named == {ref.id: (reason, versions[1])}
    assert (result.changed, result.quarantined, len(result.session_tokens)) == (0, 1, 1)
    assert item["mekVersion"] == versions[0]
    assert not {"previousWrap", "rotationId", "rewrappedAt"} & item.keys()
    assert await world.opened(ref) == world.deks[ref.id]


async def test_a_row_that_opens_to_another_dek_gets_its_old_wrap_back(world: World, versions: tuple[str, str]) -> None:
    """A wrap of a wrong DEK under the new version is found by the key check and undone."""
    ref, other = await rewrapped(world, 2, versions)
    await corrupt(world, ref, wrappedDek=(await world.item(other))["wrappedDek"])
    sink = Sink()

    await prove(world, [ref], versions[1], sink)

    assert sink.named == {ref.id: ("key_check_mismatch", versions[1])}
    assert await world.opened(ref) == world.deks[ref.id]


async def test_an_old_wrap_that_does_not_open_is_not_put_back(world: World, versions: tuple[str, str]) -> None:
    """A wrap is never replaced by one that was not tried: such a row is named and left as it is."""
    wrong_check, no_previous, bad_previous = await rewrapped(world, 3, versions)
    await corrupt(world, wrong_check, keyCheck=encoded(bytes(16)))
    await corrupt(world, no_previous, wrappedDek=encoded(bytes(256)), previousWrap=...)
    await corrupt(world, bad_previous, wrappedDek=encoded(bytes(256)), previousWrap={"mekVersion": versions[0]})
    refs = [wrong_check, no_previous, bad_previous]
    before = [await world.item(ref) for ref in refs]
    sink = Sink()

    await prove(world, refs, versions[1], sink)

    reasons = ["key_check_mismatch", "unwrap_refused", "unwrap_refused"]
    assert [sink.named[ref.id][0] for ref in refs] == reasons
    assert before == [await world.item(ref) for ref in refs]
    assert await world.opened(wrong_check) == world.deks[wrong_check.id]


async def test_a_key_check_that_was_removed_is_named(world: World, versions: tuple[str, str]) -> None:
    """Without a key check nothing is proven: the row is named, and its old wrap put back."""
    (ref,) = await rewrapped(world, 1, versions)
    await corrupt(world, ref, keyCheck=...)
    sink = Sink()

    await prove(world, [ref], versions[1], sink)

    assert sink.named == {ref.id: ("malformed_key_check", versions[1])}
    assert (await world.item(ref))["mekVersion"] == versions[0]


async def test_undoing_gives_way_to_another_writer(
    world: World, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the row is mended between the proof and the undoing, the mended row is proven and stays."""
    (ref,) = await rewrapped(world, 1, versions)
    good = (await world.item(ref))["wrappedDek"]
    await corrupt(world, ref, wrappedDek=encoded(bytes(256)))
    restore = world.store.restore

    async def late(row: Any) -> Any:
        await corrupt(world, ref, wrappedDek=good)
        return await restore(row)

    monkeypatch.setattr(world.store, "restore", late)
    sink = Sink()

    result = await prove(world, [ref], versions[1], sink)

    assert (result.changed, result.conflicts, sink.rows) == (1, 1, [])
    assert (await world.item(ref))["mekVersion"] == versions[1]


async def test_a_row_that_is_deleted_before_it_is_undone_stays_deleted(
    world: World, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing brings no row back."""
    (ref,) = await rewrapped(world, 1, versions)
    await corrupt(world, ref, wrappedDek=encoded(bytes(256)))
    restore = world.store.restore

    async def late(row: Any) -> Any:
        await world.container.delete_item(ref.id, partition_key=ref.partition)
        return await restore(row)

    monkeypatch.setattr(world.store, "restore", late)
    sink = Sink()

    result = await prove(world, [ref], versions[1], sink)

    assert (result.gone, sink.rows) == (1, [])
    assert await world.store.read(ref, versions[1]) is None


async def test_a_target_that_is_disabled_is_not_the_rows_fault(world: World, versions: tuple[str, str]) -> None:
    """No row is quarantined or undone because somebody disabled the new version."""
    (ref,) = await rewrapped(world, 1, versions)
    await world.mek.change(versions[1], enabled=False)
    sink = Sink()

    with pytest.raises(ResourceMissingError):
        await prove(world, [ref], versions[1], sink)

    assert sink.rows == []
    assert (await world.item(ref))["rotationId"] == ROTATION


async def test_a_missing_right_is_not_the_rows_fault(world: World, versions: tuple[str, str]) -> None:
    """Neither because the identity may not unwrap any more."""
    (ref,) = await rewrapped(world, 1, versions)
    world.mek.fault(operation="unwrap", kind="status", status=403, count=None, body={})
    sink = Sink()

    with pytest.raises(PermissionMissingError):
        await prove(world, [ref], versions[1], sink)

    assert sink.rows == []
