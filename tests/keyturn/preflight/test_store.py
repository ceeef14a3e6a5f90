"""What is asked of the dek store: that it is the right one, small enough, and what its rows are."""

from typing import Any

import pytest

from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.local_keyring import plain_row
from tests.keyturn.preflight.harness import PreflightHarness, check_of, failed


async def test_a_container_that_does_not_exist_is_found(harness: PreflightHarness) -> None:
    """A wrong name fails at once, and nothing that rests on the store is taken for good."""
    harness.keyring_values = {"dek_container": "absent"}

    preflight = await harness.run()

    assert {"store_reachable", "can_read_rows", "can_patch_rows", "census", "row_versions"} <= set(failed(preflight))
    assert "does not exist" in check_of(preflight, "store_reachable").detail


async def test_another_partition_key_than_the_settings_say_is_found(
    harness: PreflightHarness, cosmos_client: Any
) -> None:
    """Every read and patch of a row would miss it."""
    harness.keyring_values = {"dek_container": (await new_container(cosmos_client, "deks", "/tenant")).id}

    preflight = await harness.run()

    assert "store_reachable" in failed(preflight)
    assert "partitioned by /tenant, not by /id" in check_of(preflight, "store_reachable").detail


async def test_a_store_with_too_many_partitions_is_refused(
    harness: PreflightHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass must be able to keep a cursor for each; the account has two."""
    monkeypatch.setattr("keyturn.preflight.store.RANGES_MAX", 1)

    preflight = await harness.run()

    assert failed(preflight) == ["store_partitions"]
    assert check_of(preflight, "store_partitions").detail.startswith("2 physical partitions")


async def test_rows_are_counted_by_version_and_kind(harness: PreflightHarness) -> None:
    """Rows that a rotation treats apart are counted apart, and none of them stops it."""
    [first] = (await harness.local_keyring.mek.client.list_versions())[:1]
    second = await harness.local_keyring.mek.create()
    await harness.local_keyring.add_many(3, second)
    await harness.local_keyring.add(second, mekVersion=...)
    await harness.local_keyring.add(second, mekVersion="not a version!")
    await harness.local_keyring.container.create_item(plain_row(mekName="another-mek"))

    preflight = await harness.run()

    assert failed(preflight) == []
    detail = check_of(preflight, "census").detail
    for expected in ("8 rows", "unlabelled: 1", "malformed label: 1", "foreign: 1"):
        assert expected in detail
    assert f"{first.version}: 2" in detail
    assert f"{second}: 3" in detail
    assert preflight.plan is not None
    assert {first.version: 2, second: 3, "(unlabelled)": 1, "(other)": 1} == preflight.plan.rows_by_version


async def test_a_store_without_rows_of_the_mek_is_suspicious(harness: PreflightHarness, cosmos_client: Any) -> None:
    """Zero rows look like the wrong container; somebody must say that the store is new."""
    harness.keyring_values = {"dek_container": (await new_container(cosmos_client, "deks")).id}
    waiver = {"check": "store_has_rows", "by": "dana", "why": "a new region"}

    empty = await harness.run()
    assert failed(empty) == ["store_has_rows"]
    assert "the dek store has no rows" in check_of(empty, "store_has_rows").detail
    assert failed(await harness.run(harness.record(waivers=[waiver]))) == []


async def test_rows_of_other_keys_alone_are_told_from_an_empty_store(
    harness: PreflightHarness, cosmos_client: Any
) -> None:
    """A waiver for a new store would be given in error: the store is another key's."""
    container = await new_container(cosmos_client, "deks")
    await container.create_item(plain_row(mekName="another-mek"))
    harness.keyring_values = {"dek_container": container.id}

    preflight = await harness.run()

    assert failed(preflight) == ["store_has_rows"]
    assert "every row of the dek store names another key" in check_of(preflight, "store_has_rows").detail


async def test_a_version_that_does_not_exist_is_named(harness: PreflightHarness) -> None:
    """A row names a version of another life of the key."""
    await harness.local_keyring.container.create_item(
        plain_row(mekName=harness.local_keyring.mek.name, mekVersion="0" * 32)
    )

    preflight = await harness.run()

    assert failed(preflight) == ["row_versions"]
    assert f"{'0' * 32} (1 rows) does not exist" in check_of(preflight, "row_versions").detail


async def test_a_disabled_version_that_rows_name_is_named(harness: PreflightHarness) -> None:
    """An old version was disabled while rows still name it."""
    old = await harness.local_keyring.mek.create()
    await harness.local_keyring.add(old)
    await harness.local_keyring.mek.create()
    await harness.local_keyring.mek.change(old, enabled=False)

    preflight = await harness.run()

    assert failed(preflight) == ["row_versions"]
    assert f"{old} (1 rows) is disabled" in check_of(preflight, "row_versions").detail


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"wrappedDek": "bm90IGEgd3JhcA=="}, "unwrap_refused"),
        ({"wrappedDek": "?"}, "malformed_wrap"),
        ({"keyCheck": "AAAAAAAAAAAAAAAAAAAAAA=="}, "key_check_mismatch"),
        ({"algorithm": "RSA-OAEP"}, "unwrap_refused"),
    ],
)
async def test_a_version_whose_rows_do_not_open_is_named(
    harness: PreflightHarness, damage: dict[str, str], reason: str
) -> None:
    """A version counts as good only when it opened a row that names it, to the DEK of the row's key check."""
    other = await harness.local_keyring.mek.create()
    ref = await harness.local_keyring.add(other)
    await harness.local_keyring.container.upsert_item({**await harness.local_keyring.item(ref), **damage})

    preflight = await harness.run()

    assert failed(preflight) == ["row_versions"]
    detail = check_of(preflight, "row_versions").detail
    assert f"{other} (1 rows) unwraps none of the sampled rows" in detail
    assert reason in detail


async def test_one_damaged_row_among_good_ones_is_the_sweeps(harness: PreflightHarness) -> None:
    """It will be quarantined and named; the version it names is fine."""
    version = (await harness.local_keyring.mek.client.newest_enabled()).version
    await harness.local_keyring.add(version, id="0", wrappedDek="?")

    assert failed(await harness.run()) == []
