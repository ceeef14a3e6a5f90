"""Every row of a store is moved onto the newest version, whatever comes in between, and none is lost."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import DekStore, RewrapProgress, RowDefaults, rewrap_all
from field_encrypt.change_feed import FeedPage
from field_encrypt.dek import Dek
from field_encrypt.errors import (
    DekStoreForbiddenError,
    FieldEncryptError,
    InvalidSettingError,
)
from field_encrypt.mek_errors import MekForbiddenError, MekNotUsableError
from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_states import Row
from field_encrypt.sweep import _Sweep
from field_encrypt.sweep_results import QuarantinedRow
from field_encrypt.sweep_store import SweepStore
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import Mek
from tests.field_encrypt.sweeps import StoreOfRows, WoundClock, encoded

store_of_nothing: Any = object()


@pytest.fixture
async def store(mek: Mek, cosmos_client: CosmosClient) -> StoreOfRows:
    """A key with two versions and an empty dek store."""
    return await StoreOfRows.create(mek, cosmos_client)


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


async def test_every_row_is_moved_and_keeps_its_dek(store: StoreOfRows) -> None:
    """Rows of both partitions name the newest version, keep their old wrap beside it, and open to the same DEK."""
    await store.fill(30)
    before = await store.item("dek-0")

    result = await store.sweep()

    after = await store.item("dek-0")
    assert set((await store.versions()).values()) == {store.target}
    assert (result.rewrapped, result.counted, result.on_target, result.is_complete) == (30, 30, 30, True)
    assert await store.lost() == []
    assert after["previousWrap"]["wrappedDek"] == before["wrappedDek"]
    assert (after["keyCheck"], "fence" in after, "rotationId" in after) == (before["keyCheck"], False, False)


async def test_a_second_call_changes_nothing(store: StoreOfRows) -> None:
    """Rows that name the target already are skipped: no unwrap, no write, one pass."""
    await store.fill(5)
    await store.sweep()
    etags = [(await store.item(dek_id))["_etag"] for dek_id in store.deks]
    unwraps = store.mek.operations.count("unwrap")

    result = await store.sweep()

    assert (result.rewrapped, result.on_target, result.passes, result.is_complete) == (0, 5, 1, True)
    assert [(await store.item(dek_id))["_etag"] for dek_id in store.deks] == etags
    assert store.mek.operations.count("unwrap") == unwraps


@pytest.mark.parametrize(("prove", "unwraps"), [(True, 20), (False, 10)])
async def test_the_rate_is_kept(store: StoreOfRows, prove: bool, unwraps: int) -> None:  # noqa: FBT001 - a case
    """However many rows are in flight, the vault is asked no faster than it may be; a proof is an unwrap too."""
    await store.fill(10)
    clock = WoundClock()

    await store.sweep(unwraps_per_second=4.0, prove=prove, clock=clock)

    assert store.mek.operations.count("unwrap") == unwraps
    assert clock.elapsed >= (unwraps - 1) / 4 - 1  # a second's worth may be caught up with


async def test_throttling_slows_it_down_and_loses_nothing(store: StoreOfRows) -> None:
    """A 429 without Retry-After costs time, and every row is moved in the end."""
    await store.fill(6)
    store.mek.fault(operation="unwrap", kind="throttle", count=4)

    result = await store.sweep()

    assert (result.rewrapped, result.is_complete) == (6, True)


BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "damaged wrap": ({"wrappedDek": encoded(bytes(256))}, "unwrap_refused"),
    "no wrap": ({"wrappedDek": None}, "malformed_wrap"),
    "another DEK's key check": ({"keyCheck": encoded(bytes(16))}, "key_check_mismatch"),
    "unknown version": ({"mekVersion": "0" * 32}, "unknown_version"),
    "unknown algorithm": ({"algorithm": "RSA1_5"}, "unknown_algorithm"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
async def test_a_bad_row_is_named_and_stays_as_it_is(store: StoreOfRows, case: str) -> None:
    """It neither stops the sweep nor hides: it is counted, named with its reason, and keeps the result incomplete."""
    properties, reason = BAD_ROWS[case]
    await store.fill(3)
    await store.add("bad", **properties)
    before = await store.item("bad")

    result = await store.sweep()

    assert [(row.id, row.reason) for row in result.quarantined] == [("bad", reason)]
    assert (result.rewrapped, result.accounted, result.is_complete) == (3, True, False)
    assert await store.item("bad") == before


async def test_a_row_without_a_label_is_opened_by_the_version_that_wraps_it(store: StoreOfRows) -> None:
    """The enabled versions are tried; the row gets its label, its key check, and what its old wrap was under."""
    await store.add("old", mekVersion=None, keyCheck=None, mekName=None)

    result = await store.sweep()

    row = await store.item("old")
    assert (result.rewrapped, row["mekVersion"], row["mekName"]) == (1, store.target, store.mek.name)
    assert row["previousWrap"]["mekVersion"] == store.old
    assert await store.lost() == []


async def test_a_foreign_row_is_counted_and_never_touched(store: StoreOfRows) -> None:
    """A row of another key does not keep the result from being complete."""
    await store.fill(2)
    await store.add("foreign", mekName="another-mek")
    before = await store.item("foreign")

    result = await store.sweep()

    assert (result.foreign, result.on_target, result.is_complete) == (1, 2, True)
    assert await store.item("foreign") == before


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


async def test_it_goes_on_where_it_was_killed(store: StoreOfRows, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the last progress leads on; every row is moved once, and the result counts a whole pass."""
    monkeypatch.setattr("field_encrypt.sweep_store.ITEMS_A_PAGE", 4)
    await store.fill(20)
    seen: list[RewrapProgress] = []

    def die(progress: RewrapProgress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await store.sweep(on_progress=die)
    moved = list((await store.versions()).values()).count(store.target)
    await store.mek.create()  # a newer version does not change the target of what was begun

    result = await store.sweep(resume=seen[-1].token, on_progress=seen.append)

    assert 0 < moved < 20
    assert (moved + result.rewrapped, result.on_target, result.is_complete) == (20, 20, True)
    assert store.mek.operations.count("unwrap") == 40
    assert {progress.target_version for progress in seen} == {store.target}
    assert seen[2].seen <= 20 - moved + 8  # what was read before is not read again in that pass
    assert "wrappedDek" not in seen[-1].token


async def test_a_token_of_a_store_that_is_no_more_begins_anew(
    store: StoreOfRows, mek: Mek, cosmos_client: CosmosClient
) -> None:
    """Places in another store's feed mean nothing: the whole store is read."""
    await store.fill(3)
    seen: list[RewrapProgress] = []
    await store.sweep(on_progress=seen.append)
    other = await StoreOfRows.create(mek, cosmos_client)
    await other.fill(3)
    cursors = {**json.loads(seen[-1].token), "drained": [], "target": other.target}

    result = await other.sweep(resume=json.dumps(cursors))

    assert (result.rewrapped, result.on_target, result.is_complete) == (3, 3, True)


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


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
async def test_a_rate_is_above_zero(store: StoreOfRows, rate: float) -> None:
    """Anything else is refused by its name."""
    with pytest.raises(InvalidSettingError, match="unwraps_per_second"):
        await store.sweep(unwraps_per_second=rate)


@pytest.mark.parametrize(
    "token",
    ["", "x", "[]", "{}", '{"target":"","cursors":{},"drained":[]}', '{"target":"v","cursors":{"a":1},"drained":[]}'],
)
async def test_a_token_is_one_that_was_given(store: StoreOfRows, token: str) -> None:
    """A text that is no token is refused, and nothing is moved."""
    await store.fill(1)

    with pytest.raises(InvalidSettingError, match="resume"):
        await store.sweep(resume=token)

    assert await store.versions() == {"dek-0": store.old}


async def test_a_token_of_another_target_is_refused(store: StoreOfRows) -> None:
    """A call does not change what a killed one was moving to."""
    token = json.dumps({"target": store.old, "cursors": {}, "drained": []})

    with pytest.raises(InvalidSettingError, match="resume"):
        await store.sweep(resume=token, target_version=store.target)


async def test_the_mek_is_the_stores(store: StoreOfRows) -> None:
    """A client of another key would take the rows without a name for its own."""
    other = DekStore(store.rows, RowDefaults(mek_name="another-mek"))

    with pytest.raises(InvalidSettingError, match="another-mek"):
        await rewrap_all(other, store.mek.client, unwraps_per_second=1.0)


async def test_nothing_is_wrapped_under_a_disabled_version(store: StoreOfRows) -> None:
    """A target that may not be wrapped under is refused, also where every row is on it already."""
    await store.add("moved", version=store.target)
    await store.mek.change(store.target, enabled=False)

    with pytest.raises(MekNotUsableError):
        await store.sweep(target_version=store.target)


async def test_what_a_run_of_the_app_left_in_a_row(store: StoreOfRows) -> None:
    """Its fencing token stays, for its own later runs; its id would name a run that has not made the wrap."""
    await store.add("row", fence=7, rotationId="notes.20261124T120000Z.abcdef")

    await store.sweep()

    row = await store.item("row")
    assert (row["mekVersion"], row["fence"], "rotationId" in row) == (store.target, 7, False)
