"""A page of rows rewrapped: the same DEKs under the target version, and every row that is not named with its reason."""

from datetime import timedelta
from typing import Any

import pytest

from field_encrypt.dek import key_check
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.errors import FencedError
from tests.keyturn.deks.pages import Sink, dependencies, page_of
from tests.keyturn.local_keyring import OLD, ROTATION, LocalKeyring, encoded


@pytest.fixture
async def versions(local_keyring: LocalKeyring) -> tuple[str, str, str]:
    """Two older versions and the target, in the order of their creation."""
    return await local_keyring.mek.create(), await local_keyring.mek.create(), await local_keyring.mek.create()


async def run(local_keyring: LocalKeyring, refs: list[RowRef], target: str, sink: Sink | None = None) -> PageResult:
    """Rewrap a page."""
    return await rewrap_page(page_of(refs, target), dependencies(local_keyring, sink or Sink()))


async def test_rows_of_every_older_version_are_moved_onto_the_target(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """Each row opens to the same DEK as before, under the target, and says by whom and when it was rewrapped."""
    older, old, target = versions
    refs = [*await local_keyring.add_many(5, older), *await local_keyring.add_many(5, old)]

    result = await run(local_keyring, refs, target)

    assert (result.changed, result.quarantined, result.vault_operations) == (10, 0, 11)
    for ref in refs:
        item = await local_keyring.item(ref)
        assert (item["mekVersion"], item["algorithm"], item["rotationId"]) == (target, "RSA-OAEP-256", ROTATION)
        assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_wraps_are_made_here(local_keyring: LocalKeyring, versions: tuple[str, str, str]) -> None:
    """A rewrap costs the vault one unwrap and no wrap."""
    _, old, target = versions
    refs = await local_keyring.add_many(3, old)

    await run(local_keyring, refs, target)

    operations = local_keyring.mek.operations
    assert (operations.count("unwrap"), operations.count("wrap")) == (3, 0)


async def test_a_page_of_a_run_that_was_overtaken_changes_nothing(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """A row that a run with a higher fencing token wrote is refused to the run before it."""
    _, old, target = versions
    [ref] = await local_keyring.add_many(1, old)
    await local_keyring.container.upsert_item({**await local_keyring.item(ref), "fence": 2})
    before = await local_keyring.item(ref)

    with pytest.raises(FencedError):
        await run(local_keyring, [ref], target)

    assert await local_keyring.item(ref) == before


async def test_a_page_that_runs_twice_changes_nothing_the_second_time(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """What is on the target already costs a read and no vault call."""
    _, old, target = versions
    refs = await local_keyring.add_many(4, old)
    await run(local_keyring, refs, target)
    before = [await local_keyring.item(ref) for ref in refs]

    result = await run(local_keyring, refs, target)

    assert (result.changed, result.unchanged, result.vault_operations) == (0, 4, 1)
    assert [await local_keyring.item(ref) for ref in refs] == before


async def test_rows_that_the_change_feed_gives_twice_are_moved_once(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """The change feed may repeat items, also within a page: each row is written once, and holds its DEK."""
    _, old, target = versions
    refs = await local_keyring.add_many(4, old)

    result = await run(local_keyring, [*refs, *refs], target)

    assert (result.changed, result.unchanged, result.quarantined) == (4, 4, 0)
    for ref in refs:
        assert (await local_keyring.item(ref))["previousWrap"]["mekVersion"] == old
        assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_an_older_writers_sha1_row_is_rewrapped_with_sha256(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """The row's own algorithm unwraps it, the new wrap is RSA-OAEP-256, and the old algorithm is kept beside it."""
    _, old, target = versions
    ref = await local_keyring.add(old, "RSA-OAEP")

    await run(local_keyring, [ref], target)

    item = await local_keyring.item(ref)
    assert (item["algorithm"], item["previousWrap"]["algorithm"]) == ("RSA-OAEP-256", "RSA-OAEP")
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_an_older_writers_row_gets_its_key_check(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """A row without name, algorithm and key check has all of them afterwards."""
    _, old, target = versions
    ref = await local_keyring.add(old, mekName=..., algorithm=..., keyCheck=...)

    await run(local_keyring, [ref], target)

    item = await local_keyring.item(ref)
    assert item["keyCheck"] == encoded(key_check(local_keyring.deks[ref.id]))
    assert (item["mekName"], item["algorithm"]) == (local_keyring.mek.name, "RSA-OAEP-256")


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("label", [..., None])
async def test_an_unlabelled_row_is_rewrapped(
    local_keyring: LocalKeyring, versions: tuple[str, str, str], which: int, label: Any
) -> None:
    """The version that unwraps it is found, be it the oldest or the target itself, and is named with the old wrap."""
    target = versions[2]
    ref = await local_keyring.add(versions[which], mekVersion=label, keyCheck=...)

    result = await run(local_keyring, [ref], target)

    item = await local_keyring.item(ref)
    assert result.changed == 1
    assert (item["mekVersion"], item["previousWrap"]["mekVersion"]) == (target, versions[which])
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_current_foreign_and_deleted_rows_are_left_alone(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """Rows on the target and rows of other keys stay as they are; a deleted row is done."""
    _, old, target = versions
    current, foreign, deleted = (
        await local_keyring.add(target),
        await local_keyring.add(old, mekName="other"),
        await local_keyring.add(old),
    )
    before = [await local_keyring.item(ref) for ref in (current, foreign)]
    await local_keyring.container.delete_item(deleted.id, partition_key=deleted.partition)

    result = await run(local_keyring, [current, foreign, deleted], target)

    assert (result.changed, result.unchanged, result.gone) == (0, 2, 1)
    assert [await local_keyring.item(ref) for ref in (current, foreign)] == before
    assert await local_keyring.store.read(deleted, target) is None


QUARANTINED: dict[str, tuple[dict[str, Any], str]] = {
    "no wrap": ({"wrappedDek": ...}, "malformed_wrap"),
    "label is no version": ({"mekVersion": 5}, "malformed_label"),
    "algorithm is unknown": ({"algorithm": "RSA1_5"}, "unknown_algorithm"),
    "version is unknown": ({"mekVersion": OLD}, "unknown_version"),
    "wrap is of another key": ({"wrappedDek": encoded(bytes(256))}, "unwrap_refused"),
    "wrap is of another size": ({"wrappedDek": encoded(bytes(9))}, "unwrap_refused"),
    "algorithm is another one": ({"algorithm": "RSA-OAEP"}, "unwrap_refused"),
    "key check is of another DEK": ({"keyCheck": encoded(bytes(16))}, "key_check_mismatch"),
    "no label and no version unwraps it": (
        {"mekVersion": ..., "wrappedDek": encoded(bytes(256))},
        "unwrap_refused",
    ),
    "no label and the key check is of another DEK": (
        {"mekVersion": None, "keyCheck": encoded(bytes(16))},
        "key_check_mismatch",
    ),
}


async def test_a_row_that_cannot_be_rewrapped_is_named_and_the_rest_goes_on(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """Each bad row is quarantined with its reason and untouched; the good rows of the page are rewrapped."""
    _, old, target = versions
    bad = {await local_keyring.add(old, **properties): reason for properties, reason in QUARANTINED.values()}
    good = await local_keyring.add_many(3, old)
    before = [await local_keyring.item(ref) for ref in bad]
    sink = Sink()

    result = await run(local_keyring, [*bad, *good], target, sink)

    assert (3, len(bad)) == (result.changed, result.quarantined)
    assert {ref.id: reason for ref, reason in bad.items()} == {row_id: said[0] for row_id, said in sink.named.items()}
    assert [await local_keyring.item(ref) for ref in bad] == before


async def test_a_row_under_a_disabled_version_is_named(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """Its version is named with it; an unlabelled row of that version is not opened by another one."""
    older, _, target = versions
    labelled, unlabelled = await local_keyring.add(older), await local_keyring.add(older, mekVersion=...)
    await local_keyring.mek.change(older, enabled=False)
    sink = Sink()

    await run(local_keyring, [labelled, unlabelled], target, sink)

    assert sink.named == {labelled.id: ("version_disabled", older), unlabelled.id: ("unwrap_refused", None)}


async def test_a_wrap_that_holds_no_dek_is_named(local_keyring: LocalKeyring, versions: tuple[str, str, str]) -> None:
    """What unwraps to something else than 256 bits is not wrapped again."""
    _, old, target = versions
    wrapped = local_keyring.mek.client.wrap(b"only sixteen byt", await local_keyring.mek.client.get_version(old))
    ref = await local_keyring.add(old, wrappedDek=encoded(wrapped), keyCheck=...)
    sink = Sink()

    await run(local_keyring, [ref], target, sink)

    assert sink.named == {ref.id: ("invalid_dek", old)}


async def test_writers_that_still_use_an_old_version_are_counted(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """Rows that were created under an old version after the target existed are counted, with the newest time."""
    _, old, target = versions
    created = (await local_keyring.mek.client.fetch_version(target)).created_on
    assert created is not None
    times = [created + timedelta(seconds=seconds) for seconds in (-5, 60, 120, 90)]
    refs = [await local_keyring.add(old, createdAt=time.isoformat()) for time in times]

    first = await run(local_keyring, refs, target)
    again = await run(local_keyring, refs, target)

    assert (3, times[2]) == (first.stale_writers, first.last_stale_write)
    # A page whose first run died before it could report is run again: the writers are not lost.
    assert (0, 3, times[2]) == (again.changed, again.stale_writers, again.last_stale_write)


async def test_a_row_without_a_creation_time_is_dated_by_its_last_change(
    local_keyring: LocalKeyring, versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's own time tells whether such a row was written after the target existed."""
    _, old, target = versions
    ref = await local_keyring.add(old, createdAt=...)
    row = await local_keyring.row(ref, target)
    fetched = await local_keyring.mek.client.fetch_version(target)
    earlier = fetched.model_copy(update={"created_on": row.changed_at - timedelta(seconds=1)})
    monkeypatch.setattr(local_keyring.mek.client, "fetch_version", _returning(earlier))

    result = await run(local_keyring, [ref], target)

    assert (result.stale_writers, result.last_stale_write) == (1, row.changed_at)


def _returning(value: Any) -> Any:
    async def fetch(_version: str) -> Any:
        return value

    return fetch


async def test_session_tokens_of_the_writes_are_reported(
    local_keyring: LocalKeyring, versions: tuple[str, str, str]
) -> None:
    """Every range that the page wrote to has a token; a page that wrote nothing has none."""
    _, old, target = versions
    refs = await local_keyring.add_many(24, old)  # in both ranges, but once in ten million runs

    first, second = await run(local_keyring, refs, target), await run(local_keyring, refs, target)

    assert sorted(token.partition(":")[0] for token in first.session_tokens.values()) == ["0", "1"]
    assert second.session_tokens == {}


async def test_a_page_without_rows_is_done(local_keyring: LocalKeyring, versions: tuple[str, str, str]) -> None:
    """An empty page has nothing but the target to look at."""
    assert await run(local_keyring, [], versions[2]) == PageResult(vault_operations=1)
