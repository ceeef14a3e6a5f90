"""Whatever writers and failing services do while a sweep runs: nothing of theirs is lost, and no DEK either."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from field_encrypt import RewrapProgress
from field_encrypt.change_feed import FeedPage
from field_encrypt.dek import Dek
from field_encrypt.errors import (
    DekStoreForbiddenError,
    FieldEncryptError,
)
from field_encrypt.mek_errors import MekForbiddenError
from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_states import Row
from field_encrypt.sweep import _Sweep
from field_encrypt.sweep_results import QuarantinedRow
from field_encrypt.sweep_store import SweepStore
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.sweeps import StoreOfRows

store_of_nothing: Any = object()


def interfere(monkeypatch: pytest.MonkeyPatch, between: Any, times: int = 1) -> None:
    """Have another writer act between a row's read and its write, so many times."""
    write, left = SweepStore.write, times

    async def late(self: SweepStore, row: Row, new: NewWrap) -> bool:
        nonlocal left
        if left:
            left -= 1
            await between(row)
        return await write(self, row, new)

    monkeypatch.setattr(SweepStore, "write", late)


async def test_a_lost_race_is_read_again(store: StoreOfRows, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another writer put into the row survives, and the row is moved all the same."""
    await store.fill(1)

    async def add_note(row: Row) -> None:
        await store.rows.patch_item(row.id, row.id, [{"op": "set", "path": "/note", "value": "kept"}])

    interfere(monkeypatch, add_note)

    result = await store.sweep()

    row = await store.item("dek-0")
    assert (row["mekVersion"], row["note"], result.rewrapped) == (store.target, "kept", 1)
    assert store.mek.operations.count("unwrap") == 2  # the wrap that was made is still good


async def test_a_wrap_that_was_exchanged_meanwhile_is_opened_anew(
    store: StoreOfRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the row got another DEK between read and write, that DEK is moved, and not the one that was read."""
    await store.fill(2)
    other = await store.item("dek-1")

    async def exchange(row: Row) -> None:
        operations = [{"op": "set", "path": f"/{name}", "value": other[name]} for name in ("wrappedDek", "keyCheck")]
        if row.id == "dek-0":
            await store.rows.patch_item(row.id, row.id, operations)

    interfere(monkeypatch, exchange, times=2)

    result = await store.sweep()

    assert (result.is_complete, await store.opened("dek-0")) == (True, store.deks["dek-1"])


async def test_a_deleted_row_stays_deleted(store: StoreOfRows, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is deleted between read and write is not made again."""
    await store.fill(1)

    async def delete(row: Row) -> None:
        await store.rows.delete_item(row.id, row.id)

    interfere(monkeypatch, delete)

    result = await store.sweep()

    assert await store.versions() == {}
    assert (result.counted, result.on_target, result.rewrapped, result.quarantined) == (0, 0, 0, ())
    assert result.is_complete


async def test_a_row_that_never_holds_still_is_named(store: StoreOfRows, cosmos: LocalCosmos) -> None:
    """After many lost races the row is given up, by name, and the sweep ends."""
    await store.fill(1)
    cosmos.fault(operation="patch", kind="etag_race", count=None, match=store.rows.id)

    result = await store.sweep()

    assert result.quarantined == (QuarantinedRow("dek-0", "too_many_races", store.old),)  # type: ignore[arg-type] # equal to its member
    assert not result.is_complete


async def test_a_write_whose_answer_was_lost_counts_once(store: StoreOfRows, cosmos: LocalCosmos) -> None:
    """The SDK repeats such a write, and its second attempt loses the race against the first."""
    await store.fill(1)
    cosmos.fault(operation="patch", kind="reset_after", count=1, match=store.rows.id)

    result = await store.sweep()

    assert (result.rewrapped, result.is_complete) == (1, True)
    assert store.mek.operations.count("unwrap") == 2


async def test_a_wrap_that_does_not_hold_the_dek_is_not_written(
    store: StoreOfRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where wrapping itself is broken the proof finds it before the row is touched."""
    await store.fill(2)
    wrap = store.mek.client.wrap

    def another(_dek: bytes, *arguments: Any) -> bytes:
        return wrap(Dek.generate().reveal(), *arguments)

    monkeypatch.setattr(store.mek.client, "wrap", another)

    result = await store.sweep()

    assert {(row.id, row.reason, row.mek_version) for row in result.quarantined} == {
        (dek_id, "key_check_mismatch", store.target) for dek_id in store.deks
    }
    assert set((await store.versions()).values()) == {store.old}
    assert await store.lost() == []


async def test_rows_that_come_meanwhile_are_met(store: StoreOfRows) -> None:
    """A stale writer's row that comes during the first pass is moved, and counted."""
    await store.fill(3)
    late: list[asyncio.Task[None]] = []

    def write(_progress: RewrapProgress) -> None:
        if not late:
            late.append(asyncio.create_task(store.add("late")))

    result = await store.sweep(on_progress=write)
    await late[0]
    result = result if result.counted == 4 else await store.sweep()

    assert (result.on_target, result.is_complete) == (4, True)


def blind(monkeypatch: pytest.MonkeyPatch, dek_id: str) -> None:
    """Have no page of the change feed show a row."""
    page = SweepStore.page

    async def without(self: SweepStore, feed_range: str, cursor: str | None) -> FeedPage:
        found = await page(self, feed_range, cursor)
        return replace(found, items=[item for item in found.items if item["id"] != dek_id])

    monkeypatch.setattr(SweepStore, "page", without)


async def test_a_row_that_the_feed_does_not_show_is_found(store: StoreOfRows, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is reconciled with what a query lists, and the difference is worked on."""
    await store.fill(3)
    blind(monkeypatch, "dek-1")

    result = await store.sweep()

    assert (result.rewrapped, result.counted, result.is_complete) == (3, 3, True)
    assert set((await store.versions()).values()) == {store.target}


async def test_a_row_that_was_not_looked_at_keeps_it_incomplete(
    store: StoreOfRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success is not inferred from having met no stale row."""
    await store.fill(3)
    blind(monkeypatch, "dek-1")
    monkeypatch.setattr(SweepStore, "read_one", lambda *_: asyncio.sleep(0, store_of_nothing))
    settle = _Sweep._settle

    async def not_this(self: _Sweep, row: Any, current: Any) -> None:
        if row is not store_of_nothing:
            await settle(self, row, current)

    monkeypatch.setattr(_Sweep, "_settle", not_this)

    result = await store.sweep()

    assert (result.counted, result.on_target, result.accounted, result.is_complete) == (3, 2, False, False)


async def test_rows_that_change_all_the_time_do_not_keep_it_from_ending(
    store: StoreOfRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live traffic counts the uses of DEKs in their rows: each row is counted once, and the sweep ends."""
    await store.fill(3)
    page = SweepStore.page

    async def with_traffic(self: SweepStore, feed_range: str, cursor: str | None) -> FeedPage:
        for dek_id in store.deks:
            await store.store.reserve(dek_id, uses=1, documents=0)
        return await page(self, feed_range, cursor)

    monkeypatch.setattr(SweepStore, "page", with_traffic)

    result = await store.sweep()

    assert (result.rewrapped, result.counted, result.on_target, result.is_complete) == (3, 3, 3, True)
    assert (await store.item("dek-0"))["uses"] > 0


FAULTS: list[tuple[str, dict[str, Any], type[FieldEncryptError]]] = [
    ("store", {"operation": "patch", "status": 403}, DekStoreForbiddenError),
    ("vault", {"operation": "unwrap", "status": 403}, MekForbiddenError),
]


@pytest.mark.parametrize(("service", "fault", "expected"), FAULTS)
async def test_what_is_not_the_rows_fault_ends_it(
    store: StoreOfRows, cosmos: LocalCosmos, service: str, fault: dict[str, Any], expected: type[FieldEncryptError]
) -> None:
    """No row is quarantined for it; the error says who must act, and the next call does all that is left."""
    await store.fill(3)
    if service == "store":
        cosmos.fault(kind="status", count=None, match=store.rows.id, body={}, **fault)
    else:
        store.mek.fault(kind="status", count=None, body={}, **fault)

    with pytest.raises(expected):
        await store.sweep()

    cosmos.clear_faults()
    store.mek.vault.control("DELETE", "faults")
    assert (await store.sweep()).is_complete
    assert await store.lost() == []
