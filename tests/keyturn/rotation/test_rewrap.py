"""A page of rows rewrapped: the same DEKs under the target version, and every row that is not named with its reason."""

from datetime import timedelta
from typing import Any

import pytest

from field_encrypt.dek import key_check
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.rewrap import rewrap_page
from tests.keyturn.rotation.pages import Sink, dependencies, page_of
from tests.keyturn.world import OLD, ROTATION, World, encoded


@pytest.fixture
async def versions(world: World) -> tuple[str, str, str]:
    """Two older versions and the target, in the order of their creation."""
    return await world.mek.create(), await world.mek.create(), await world.mek.create()


async def run(world: World, refs: list[RowRef], target: str, sink: Sink | None = None) -> PageResult:
    """Rewrap a page."""
    return await rewrap_page(page_of(refs, target), dependencies(world, sink or Sink()))


async def test_rows_of_every_older_version_are_moved_onto_the_target(
    world: World, versions: tuple[str, str, str]
) -> None:
    """Each row opens to the same DEK as before, under the target, and says by whom and when it was rewrapped."""
    older, old, target = versions
    refs = [*await world.add_many(5, older), *await world.add_many(5, old)]

    result = await run(world, refs, target)

    assert (result.changed, result.quarantined, result.vault_operations) == (10, 0, 11)
    for ref in refs:
        item = await world.item(ref)
        assert (item["mekVersion"], item["algorithm"], item["rotationId"]) == (target, "RSA-OAEP-256", ROTATION)
        assert await world.opened(ref) == world.deks[ref.id]


async def test_wraps_are_made_here(world: World, versions: tuple[str, str, str]) -> None:
    """A rewrap costs the vault one unwrap and no wrap."""
    _, old, target = versions
    refs = await world.add_many(3, old)

    await run(world, refs, target)

    operations = world.mek.operations
    assert (operations.count("unwrap"), operations.count("wrap")) == (3, 0)


async def test_a_page_that_runs_twice_changes_nothing_the_second_time(
    world: World, versions: tuple[str, str, str]
) -> None:
    """What is on the target already costs a read and no vault call."""
    _, old, target = versions
    refs = await world.add_many(4, old)
    await run(world, refs, target)
    before = [await world.item(ref) for ref in refs]

    result = await run(world, refs, target)

    assert (result.changed, result.unchanged, result.vault_operations) == (0, 4, 1)
    assert before == [await world.item(ref) for ref in refs]


async def test_rows_that_the_change_feed_gives_twice_are_moved_once(
    world: World, versions: tuple[str, str, str]
) -> None:
    """The change feed may repeat items, also within a page: each row is written once, and holds its DEK."""
    _, old, target = versions
    refs = await world.add_many(4, old)

    result = await run(world, [*refs, *refs], target)

    assert (result.changed, result.unchanged, result.quarantined) == (4, 4, 0)
    for ref in refs:
        assert (await world.item(ref))["previousWrap"]["mekVersion"] == old
        assert await world.opened(ref) == world.deks[ref.id]


async def test_an_older_writers_sha1_row_is_rewrapped_with_sha256(world: World, versions: tuple[str, str, str]) -> None:
    """The row's own algorithm unwraps it, the new wrap is RSA-OAEP-256, and the old algorithm is kept beside it."""
    _, old, target = versions
    ref = await world.add(old, "RSA-OAEP")

    await run(world, [ref], target)

    item = await world.item(ref)
    assert (item["algorithm"], item["previousWrap"]["algorithm"]) == ("RSA-OAEP-256", "RSA-OAEP")
    assert await world.opened(ref) == world.deks[ref.id]


async def test_an_older_writers_row_gets_its_key_check(world: World, versions: tuple[str, str, str]) -> None:
    """A row without name, algorithm and key check has all of them afterwards."""
    _, old, target = versions
    ref = await world.add(old, mekName=..., algorithm=..., keyCheck=...)

    await run(world, [ref], target)

    item = await world.item(ref)
    assert item["keyCheck"] == encoded(key_check(world.deks[ref.id]))
    assert (item["mekName"], item["algorithm"]) == (world.mek.name, "RSA-OAEP-256")


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("label", [..., None])
async def test_an_unlabelled_row_is_rewrapped(
    world: World, versions: tuple[str, str, str], which: int, label: Any
) -> None:
    """The version that unwraps it is found, be it the oldest or the target itself, and is named with the old wrap."""
    target = versions[2]
    ref = await world.add(versions[which], mekVersion=label, keyCheck=...)

    result = await run(world, [ref], target)

    item = await world.item(ref)
    assert result.changed == 1
    assert (item["mekVersion"], item["previousWrap"]["mekVersion"]) == (target, versions[which])
    assert await world.opened(ref) == world.deks[ref.id]


async def test_current_foreign_and_deleted_rows_are_left_alone(world: World, versions: tuple[str, str, str]) -> None:
    """Rows on the target and rows of other keys stay as they are; a deleted row is done."""
    _, old, target = versions
    current, foreign, deleted = await world.add(target), await world.add(old, mekName="other"), await world.add(old)
    before = [await world.item(ref) for ref in (current, foreign)]
    await world.container.delete_item(deleted.id, partition_key=deleted.partition)

    result = await run(world, [current, foreign, deleted], target)

    assert (result.changed, result.unchanged, result.gone) == (0, 2, 1)
    assert before == [await world.item(ref) for ref in (current, foreign)]
    assert await world.store.read(deleted, target) is None


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
    world: World, versions: tuple[str, str, str]
) -> None:
    """Each bad row is quarantined with its reason and untouched; the good rows of the page are rewrapped."""
    _, old, target = versions
    bad = {await world.add(old, **properties): reason for properties, reason in QUARANTINED.values()}
    good = await world.add_many(3, old)
    before = [await world.item(ref) for ref in bad]
    sink = Sink()

    result = await run(world, [*bad, *good], target, sink)

    assert (result.changed, result.quarantined) == (3, len(bad))
    assert {ref.id: reason for ref, reason in bad.items()} == {row_id: said[0] for row_id, said in sink.named.items()}
    assert before == [await world.item(ref) for ref in bad]


async def test_a_row_under_a_disabled_version_is_named(world: World, versions: tuple[str, str, str]) -> None:
    """Its version is named with it; an unlabelled row of that version is not opened by another one."""
    older, _, target = versions
    labelled, unlabelled = await world.add(older), await world.add(older, mekVersion=...)
    await world.mek.change(older, enabled=False)
    sink = Sink()

    await run(world, [labelled, unlabelled], target, sink)

    assert sink.named == {labelled.id: ("version_disabled", older), unlabelled.id: ("unwrap_refused", None)}


async def test_a_wrap_that_holds_no_dek_is_named(world: World, versions: tuple[str, str, str]) -> None:
    """What unwraps to something else than 256 bits is not wrapped again."""
    _, old, target = versions
    wrapped = world.mek.client.wrap(b"only sixteen byt", await world.mek.client.get_version(old))
    ref = await world.add(old, wrappedDek=encoded(wrapped), keyCheck=...)
    sink = Sink()

    await run(world, [ref], target, sink)

    assert sink.named == {ref.id: ("invalid_dek", old)}


async def test_writers_that_still_use_an_old_version_are_counted(world: World, versions: tuple[str, str, str]) -> None:
    """Rows that were created under an old version after the target existed are counted, with the newest time."""
    _, old, target = versions
    created = (await world.mek.client.fetch_version(target)).created_on
    assert created is not None
    times = [created + timedelta(seconds=seconds) for seconds in (-5, 60, 120, 90)]
    refs = [await world.add(old, createdAt=time.isoformat()) for time in times]

    first = await run(world, refs, target)
    again = await run(world, refs, target)

    assert (first.stale_writers, first.last_stale_write) == (3, times[2])
    # A page whose first run died before it could report is run again: the writers are not lost.
    assert (again.changed, again.stale_writers, again.last_stale_write) == (0, 3, times[2])


async def test_a_row_without_a_creation_time_is_dated_by_its_last_change(
    world: World, versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's own time tells whether such a row was written after the target existed."""
    _, old, target = versions
    ref = await world.add(old, createdAt=...)
    row = await world.row(ref, target)
    fetched = await world.mek.client.fetch_version(target)
    earlier = fetched.model_copy(update={"created_on": row.changed_at - timedelta(seconds=1)})
    monkeypatch.setattr(world.mek.client, "fetch_version", _returning(earlier))

    result = await run(world, [ref], target)

    assert (result.stale_writers, result.last_stale_write) == (1, row.changed_at)


def _returning(value: Any) -> Any:
    async def fetch(_version: str) -> Any:
        return value

    return fetch


async def test_session_tokens_of_the_writes_are_reported(world: World, versions: tuple[str, str, str]) -> None:
    """Every range that the page wrote to has a token; a page that wrote nothing has none."""
    _, old, target = versions
    refs = await world.add_many(8, old)

    first, second = await run(world, refs, target), await run(world, refs, target)

    assert sorted(token.partition(":")[0] for token in first.session_tokens.values()) == ["0", "1"]
    assert second.session_tokens == {}


async def test_a_page_without_rows_is_done(world: World, versions: tuple[str, str, str]) -> None:
    """An empty page has nothing but the target to look at."""
    assert await run(world, [], versions[2]) == PageResult(vault_operations=1)
