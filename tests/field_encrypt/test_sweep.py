"""Every row of a store is moved onto the newest version, whatever comes in between, and none is lost."""

from typing import Any

import pytest

from tests.field_encrypt.sweeps import StoreOfRows, WoundClock, encoded


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


async def test_what_a_run_of_the_app_left_in_a_row(store: StoreOfRows) -> None:
    """Its fencing token stays, for its own later runs; its id would name a run that has not made the wrap."""
    await store.add("row", fence=7, rotationId="notes.20261124T120000Z.abcdef")

    await store.sweep()

    row = await store.item("row")
    assert (row["mekVersion"], row["fence"], "rotationId" in row) == (store.target, 7, False)
