"""A sweep that was killed goes on where it was; what it is asked for and cannot be meant is refused by name."""

import json

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import DekStore, RewrapProgress, RowDefaults, rewrap_all
from field_encrypt.errors import (
    InvalidSettingError,
)
from field_encrypt.mek_errors import MekNotUsableError
from tests.field_encrypt.local_vault import Mek
from tests.field_encrypt.sweeps import StoreOfRows


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
