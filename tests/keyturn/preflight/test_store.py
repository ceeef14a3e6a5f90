"""What is asked of the dek store: that it is the right one, small enough, and what its rows are."""

from typing import Any

import pytest

from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.preflight.scene import Scene, check_of, failed
from tests.keyturn.world import plain_row


async def test_a_container_that_does_not_exist_is_found(scene: Scene) -> None:
    """A wrong name fails at once, and nothing that rests on the store is taken for good."""
    scene.keyring_values = {"dek_container": "absent"}

    preflight = await scene.run()

    assert {"store_reachable", "can_read_rows", "can_patch_rows", "census", "row_versions"} <= set(failed(preflight))
    assert "does not exist" in check_of(preflight, "store_reachable").detail


async def test_another_partition_key_than_the_settings_say_is_found(scene: Scene, cosmos_client: Any) -> None:
    """Every read and patch of a row would miss it."""
    scene.keyring_values = {"dek_container": (await new_container(cosmos_client, "deks", "/tenant")).id}

    preflight = await scene.run()

    assert "store_reachable" in failed(preflight)
    assert "partitioned by /tenant, not by /id" in check_of(preflight, "store_reachable").detail


async def test_a_store_with_too_many_partitions_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass must be able to keep a cursor for each; the account has two."""
    monkeypatch.setattr("keyturn.preflight.store.RANGES_MAX", 1)

    preflight = await scene.run()

    assert ["store_partitions"] == failed(preflight)
    assert check_of(preflight, "store_partitions").detail.startswith("2 physical partitions")


async def test_rows_are_counted_by_version_and_kind(scene: Scene) -> None:
    """Rows that a rotation treats apart are counted apart, and none of them stops it."""
    [first] = (await scene.world.mek.client.list_versions())[:1]
    second = await scene.world.mek.create()
    await scene.world.add_many(3, second)
    await scene.world.add(second, mekVersion=...)
    await scene.world.add(second, mekVersion="not a version!")
    await scene.world.container.create_item(plain_row(mekName="another-mek"))

    preflight = await scene.run()

    assert [] == failed(preflight)
    detail = check_of(preflight, "census").detail
    for expected in ("8 rows", "unlabelled: 1", "malformed label: 1", "foreign: 1"):
        assert expected in detail
    assert f"{first.version}: 2" in detail
    assert f"{second}: 3" in detail
    assert preflight.plan is not None
    assert {first.version: 2, second: 3, "(unlabelled)": 1, "(other)": 1} == preflight.plan.rows_by_version


async def test_a_store_without_rows_of_the_mek_is_suspicious(scene: Scene, cosmos_client: Any) -> None:
    """Zero rows look like the wrong container; somebody must say that the store is new."""
    scene.keyring_values = {"dek_container": (await new_container(cosmos_client, "deks")).id}
    waiver = {"check": "store_has_rows", "by": "dana", "why": "a new region"}

    assert ["store_has_rows"] == failed(await scene.run())
    assert [] == failed(await scene.run(scene.record(waivers=[waiver])))


async def test_a_version_that_does_not_exist_is_named(scene: Scene) -> None:
    """A row names a version of another life of the key."""
    await scene.world.container.create_item(plain_row(mekName=scene.world.mek.name, mekVersion="0" * 32))

    preflight = await scene.run()

    assert ["row_versions"] == failed(preflight)
    assert f"{'0' * 32} (1 rows) does not exist" in check_of(preflight, "row_versions").detail


async def test_a_disabled_version_that_rows_name_is_named(scene: Scene) -> None:
    """An old version was disabled while rows still name it."""
    old = await scene.world.mek.create()
    await scene.world.add(old)
    await scene.world.mek.create()
    await scene.world.mek.change(old, enabled=False)

    preflight = await scene.run()

    assert ["row_versions"] == failed(preflight)
    assert f"{old} (1 rows) is disabled" in check_of(preflight, "row_versions").detail


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"wrappedDek": "bm90IGEgd3JhcA=="}, "UnwrapRefusedError"),
        ({"wrappedDek": "?"}, "malformed_wrap"),
        ({"keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="}, "key check"),
        ({"algorithm": "RSA-OAEP"}, "UnwrapRefusedError"),
    ],
)
async def test_a_version_whose_rows_do_not_open_is_named(scene: Scene, damage: dict[str, str], reason: str) -> None:
    """A version counts as good only when it opened a row that names it, to the DEK of the row's key check."""
    other = await scene.world.mek.create()
    ref = await scene.world.add(other)
    await scene.world.container.upsert_item({**await scene.world.item(ref), **damage})

    preflight = await scene.run()

    assert ["row_versions"] == failed(preflight)
    detail = check_of(preflight, "row_versions").detail
    assert f"{other} (1 rows) opened none of the sampled rows" in detail
    assert reason in detail


async def test_one_damaged_row_among_good_ones_is_the_sweeps(scene: Scene) -> None:
    """It will be quarantined and named; the version it names is fine."""
    version = (await scene.world.mek.client.newest_enabled()).version
    await scene.world.add(version, id="0", wrappedDek="?")

    assert [] == failed(await scene.run())
