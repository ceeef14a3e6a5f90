"""A page of rows rewrapped while other writers, and a network that loses answers, get in between."""

from datetime import timedelta

import pytest

from field_encrypt.rewrapping import RACES_MAX
from field_encrypt.row_states import Row
from keyturn.deks.rewrap import rewrap_page
from keyturn.errors import LateError
from tests.keyturn.clocks import ManualClock
from tests.keyturn.deks.pages import Sink, dependencies, interfere, page_of
from tests.keyturn.local_keyring import LocalKeyring


@pytest.fixture
async def versions(local_keyring: LocalKeyring) -> tuple[str, str]:
    """An older version and the target, in the order of their creation."""
    return await local_keyring.mek.create(), await local_keyring.mek.create()


async def test_a_lost_race_costs_no_second_unwrap(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """A row whose other properties were changed meanwhile is written on the next read, with the wrap that was made."""
    old, target = versions
    ref = await local_keyring.add(old)
    local_keyring.cosmos.fault(operation="patch", kind="etag_race", count=2, match=local_keyring.container.id)

    result = await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    assert (result.changed, result.conflicts, result.vault_operations) == (1, 2, 2)
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_what_another_writer_put_into_the_row_survives(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A property that was added between read and write is still there after the rewrap."""
    old, target = versions
    ref = await local_keyring.add(old)

    async def add_note(row: Row) -> None:
        await local_keyring.container.patch_item(row.id, row.id, [{"op": "set", "path": "/note", "value": "kept"}])

    interfere(local_keyring, monkeypatch, add_note)

    await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    item = await local_keyring.item(ref)
    assert (item["mekVersion"], item["note"]) == (target, "kept")


async def test_a_wrap_that_was_exchanged_meanwhile_is_opened_anew(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the row got another DEK between read and write, that DEK is rewrapped, not the one that was read."""
    old, target = versions
    ref, other = await local_keyring.add(old), await local_keyring.add(old)

    async def exchange(row: Row) -> None:
        another = await local_keyring.item(other)
        await local_keyring.container.upsert_item({**another, "id": row.id})

    interfere(local_keyring, monkeypatch, exchange)

    result = await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    assert (result.changed, result.conflicts) == (1, 1)
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[other.id]


async def test_a_row_that_another_page_moved_meanwhile_is_done(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pages with the same row leave one rewrap, and the loser has nothing left to do."""
    old, target = versions
    ref = await local_keyring.add(old)
    rewrap = local_keyring.store.rewrap

    async def other_page(row: Row) -> None:
        monkeypatch.setattr(local_keyring.store, "rewrap", rewrap)
        await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    interfere(local_keyring, monkeypatch, other_page)

    result = await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    assert (result.changed, result.unchanged, result.conflicts) == (0, 1, 1)
    assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_a_row_that_is_deleted_meanwhile_stays_deleted(
    local_keyring: LocalKeyring, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion between read and write wins."""
    old, target = versions
    ref = await local_keyring.add(old)

    async def delete(row: Row) -> None:
        await local_keyring.container.delete_item(row.id, partition_key=row.id)

    interfere(local_keyring, monkeypatch, delete)

    result = await rewrap_page(page_of([ref], target), dependencies(local_keyring, Sink()))

    assert (result.changed, result.gone) == (0, 1)
    assert await local_keyring.store.read(ref, target) is None


async def test_a_row_that_never_holds_still_is_named(local_keyring: LocalKeyring, versions: tuple[str, str]) -> None:
    """After a bounded number of lost races the row is quarantined, and the vault was asked once."""
    old, target = versions
    ref = await local_keyring.add(old)
    local_keyring.cosmos.fault(operation="patch", kind="etag_race", count=None, match=local_keyring.container.id)
    sink, clock = Sink(), ManualClock()

    result = await rewrap_page(page_of([ref], target), dependencies(local_keyring, sink, clock=clock))

    assert sink.named == {ref.id: ("too_many_races", None)}
    assert (result.conflicts, result.vault_operations) == (RACES_MAX, 2)
    assert clock.elapsed > 5


async def test_a_write_whose_answer_is_lost_is_recognised(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """The SDK repeats a write whose connection broke after the effect; the row counts as rewrapped, once."""
    old, target = versions
    refs = await local_keyring.add_many(4, old)
    local_keyring.cosmos.fault(operation="patch", kind="reset_after", count=2, match=local_keyring.container.id)

    result = await rewrap_page(page_of(refs, target), dependencies(local_keyring, Sink()))

    assert (result.changed, result.unchanged, result.quarantined) == (4, 0, 0)
    for ref in refs:
        assert await local_keyring.unwrapped(ref) == local_keyring.deks[ref.id]


async def test_a_page_that_outlives_its_time_writes_nothing_more(
    local_keyring: LocalKeyring, versions: tuple[str, str]
) -> None:
    """The time is looked at last before a write, and before rows are named: a worker may have frozen anywhere."""
    old, target = versions
    ref, bad = await local_keyring.add(old), await local_keyring.add(old, wrappedDek="no base64")
    before, clock, sink = await local_keyring.item(ref), ManualClock(), Sink()

    async def slow(_read_at: float) -> None:
        clock.advance(61)

    for refs in ([ref], [bad]):
        page = page_of(refs, target).model_copy(update={"not_after": clock.now() + timedelta(minutes=1)})
        with pytest.raises(LateError):
            await rewrap_page(page, dependencies(local_keyring, sink, clock=clock, hold=slow))

    assert await local_keyring.item(ref) == before
    assert sink.rows == []
