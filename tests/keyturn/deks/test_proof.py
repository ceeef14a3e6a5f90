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
from tests.keyturn.deks.pages import Sink, dependencies, held, item_without_system, page_of
from tests.keyturn.local_keyring import ROTATION, LocalKeyring, encoded


@pytest.fixture
async def versions(local_keyring: LocalKeyring) -> tuple[str, str]:
    """An older version and the target, in the order of their creation."""
    return await local_keyring.mek.create(), await local_keyring.mek.create()


async def rewrapped(
    local_keyring: LocalKeyring, count: int, versions: tuple[str, str], **properties: Any
) -> list[RowRef]:
    """Store rows under the older version and rewrap them."""
    refs = [await local_keyring.add(versions[0], **properties) for _ in range(count)]
    await rewrap_page(page_of(refs, versions[1]), dependencies(local_keyring, Sink()))
    return refs


async def prove(local_keyring: LocalKeyring, refs: list[RowRef], target: str, sink: Sink) -> PageResult:
    """Prove a page."""
    return await prove_page(page_of(refs, target), dependencies(local_keyring, sink, clock=ManualClock()))


async def corrupt(local_keyring: LocalKeyring, ref: RowRef, **values: Any) -> None:
    """Change properties of a row behind everybody's back; ``...`` removes one."""
    item = {**await item_without_system(local_keyring, ref), **values}
    await local_keyring.container.upsert_item({name: value for name, value in item.items() if value is not ...})


async def test_rewrapped_rows_are_proven(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """Every row opens with the new version to the DEK of its key check, at one vault call each, and is not changed."""
    refs = await rewrapped(local_keyring, 6, versions)
    before = [await local_keyring.item(ref) for ref in refs]
    sink = Sink()

    result = await prove(local_keyring, refs, versions[1], sink)

    assert (result.changed, result.vault_operations, sink.rows) == (6, 6, [])
    assert [await local_keyring.item(ref) for ref in refs] == before


async def test_rows_that_moved_on_are_not_proven(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """A row that is gone or taken back to the old version is not proven; what another run has moved is."""
    deleted, taken_back, others = await rewrapped(local_keyring, 3, versions)
    await local_keyring.container.delete_item(deleted.id, partition_key=deleted.partition)
    await corrupt(local_keyring, taken_back, mekVersion=versions[0])
    await corrupt(local_keyring, others, rotationId="notes.20250101T000000Z.000000")
    sink = Sink()

    result = await prove(local_keyring, [deleted, taken_back, others], versions[1], sink)

    assert (result.changed, result.gone, result.unchanged, sink.rows) == (1, 1, 1, [])


async def test_a_row_read_from_a_replica_that_lags_is_read_again(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """A reader in another process takes neither the row's earlier state nor its absence for the present."""
    local_keyring.control_cosmos("settings", replicaLagMs=400)
    (ref,) = await rewrapped(local_keyring, 1, versions)
    async with local_keyring.cosmos.client() as another:
        container = another.get_database_client(DATABASE).get_container_client(local_keyring.container.id)
        behind = PageDependencies(
            DekStore(container, local_keyring.keyring), local_keyring.mek.client, Sink().take, held
        )

        result = await prove_page(page_of([ref], versions[1]), behind)

    assert (result.changed, result.gone, result.unchanged) == (1, 0, 0)


CORRUPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "the wrap does not unwrap": ({"wrappedDek": encoded(bytes(256))}, "unwrap_refused"),
    "the wrap is no base64": ({"wrappedDek": "!"}, "malformed_wrap"),
    "the algorithm was changed": ({"algorithm": "RSA-OAEP"}, "unwrap_refused"),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
async def test_a_row_that_does_not_open_gets_its_old_wrap_back(
    local_keyring: LocalKeyring, versions: tuple[str, str], case: str
) -> None:
    """The row is what it was before the rewrap and can be read again; it is quarantined with its reason."""
    values, reason = CORRUPTIONS[case]
    (ref,) = await rewrapped(local_keyring, 1, versions)
    await corrupt(local_keyring, ref, **values)
    sink = Sink()

    result = await prove(local_keyring, [ref], versions[1], sink)

    item = await local_keyring.item(ref)
    assert {ref.id: (reason, versions[1])} == sink.named
    assert (result.changed, result.quarantined, len(result.session_tokens)) == (0, 1, 1)
    assert item["mekVersion"] == versions[0]
    assert not {"rotationId", "rewrappedAt"} & item.keys()
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_a_row_that_opens_to_another_dek_gets_its_old_wrap_back(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """A wrap of a wrong DEK under the new version is found by the key check and undone."""
    ref, other = await rewrapped(local_keyring, 2, versions)
    await corrupt(local_keyring, ref, wrappedDek=(await local_keyring.item(other))["wrappedDek"])
    sink = Sink()

    await prove(local_keyring, [ref], versions[1], sink)

    assert {ref.id: ("key_check_mismatch", versions[1])} == sink.named
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_an_old_wrap_that_does_not_open_is_not_put_back(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """A wrap is never replaced by one that was not tried: such a row is named and left as it is."""
    wrong_check, no_previous, bad_previous = await rewrapped(local_keyring, 3, versions)
    await corrupt(local_keyring, wrong_check, keyCheck=encoded(bytes(16)))
    await corrupt(local_keyring, no_previous, wrappedDek=encoded(bytes(256)), previousWrap=...)
    await corrupt(local_keyring, bad_previous, wrappedDek=encoded(bytes(256)), previousWrap={"mekVersion": versions[0]})
    refs = [wrong_check, no_previous, bad_previous]
    before = [await local_keyring.item(ref) for ref in refs]
    sink = Sink()

    await prove(local_keyring, refs, versions[1], sink)

    reasons = ["key_check_mismatch", "unwrap_refused", "unwrap_refused"]
    assert [sink.named[ref.id][0] for ref in refs] == reasons
    assert [await local_keyring.item(ref) for ref in refs] == before
    assert await local_keyring.unwrapped(wrong_check) == local_keyring.deks[wrong_check.id]


async def test_a_key_check_that_was_removed_is_named(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """Without a key check nothing is proven: the row is named, and its old wrap put back."""
    (ref,) = await rewrapped(local_keyring, 1, versions)
    await corrupt(local_keyring, ref, keyCheck=...)
    sink = Sink()

    await prove(local_keyring, [ref], versions[1], sink)

    assert {ref.id: ("malformed_key_check", versions[1])} == sink.named
    assert (await local_keyring.item(ref))["mekVersion"] == versions[0]


async def test_undoing_gives_way_to_another_writer(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the row is repaired between the proof and the undoing, the repaired row is proven and stays."""
    (ref,) = await rewrapped(local_keyring, 1, versions)
    good = (await local_keyring.item(ref))["wrappedDek"]
    await corrupt(local_keyring, ref, wrappedDek=encoded(bytes(256)))
    exchange = local_keyring.store.exchange

    async def late(row: Any, fence: int) -> Any:
        await corrupt(local_keyring, ref, wrappedDek=good)
        return await exchange(row, fence)

    monkeypatch.setattr(local_keyring.store, "exchange", late)
    sink = Sink()

    result = await prove(local_keyring, [ref], versions[1], sink)

    assert (result.changed, result.conflicts, sink.rows) == (1, 1, [])
    assert (await local_keyring.item(ref))["mekVersion"] == versions[1]


async def test_a_row_that_is_deleted_before_it_is_undone_stays_deleted(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing brings no row back."""
    (ref,) = await rewrapped(local_keyring, 1, versions)
    await corrupt(local_keyring, ref, wrappedDek=encoded(bytes(256)))
    exchange = local_keyring.store.exchange

    async def late(row: Any, fence: int) -> Any:
        await local_keyring.container.delete_item(ref.id, partition_key=ref.partition)
        return await exchange(row, fence)

    monkeypatch.setattr(local_keyring.store, "exchange", late)
    sink = Sink()

    result = await prove(local_keyring, [ref], versions[1], sink)

    assert (result.gone, sink.rows) == (1, [])
    assert await local_keyring.store.read(ref, versions[1]) is None


async def test_a_target_that_is_disabled_is_not_the_rows_fault(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """No row is quarantined or undone because somebody disabled the new version."""
    (ref,) = await rewrapped(local_keyring, 1, versions)
    await local_keyring.mek.change(versions[1], enabled=False)
    sink = Sink()

    with pytest.raises(ResourceMissingError):
        await prove(local_keyring, [ref], versions[1], sink)

    assert sink.rows == []
    assert (await local_keyring.item(ref))["rotationId"] == ROTATION


async def test_a_missing_right_is_not_the_rows_fault(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """Neither because the identity may not unwrap any more."""
    (ref,) = await rewrapped(local_keyring, 1, versions)
    local_keyring.mek.fault(operation="unwrap", kind="status", status=403, count=None, body={})
    sink = Sink()

    with pytest.raises(PermissionMissingError):
        await prove(local_keyring, [ref], versions[1], sink)

    assert sink.rows == []
