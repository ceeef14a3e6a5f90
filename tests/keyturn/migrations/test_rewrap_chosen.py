"""Rewrapping only the rows that a migration is about, and trying it without writing."""

from dataclasses import replace

import pytest

from keyturn.contracts import DecryptCheck, Restore, RewrapDeks, Work
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.scan import choice_of
from keyturn.errors import InvariantError
from tests.keyturn.migrations.scene import page_of
from tests.keyturn.rotation.pages import Sink, dependencies, item_without_system
from tests.keyturn.world import World

MIGRATION = "notes.m.20261124T130000Z.abcdef"


@pytest.fixture
async def three(world: World) -> tuple[str, str, str]:
    """Three versions, oldest first."""
    return await world.mek.create(), await world.mek.create(), await world.mek.create()


async def rewrap(
    world: World, work: Work, target: str, refs: list[RowRef], *, versions: tuple[str, ...] = (), dry_run: bool = False
) -> PageResult:
    """Rewrap those rows of a page that the work is about."""
    chosen = choice_of(work, versions)
    given = replace(dependencies(world, Sink()), chosen=chosen)
    return await rewrap_page(page_of(MIGRATION, target, refs, dry_run=dry_run), given)


async def labels(world: World, refs: list[RowRef]) -> list[str | None]:
    """Return the rows' labels."""
    return [(await world.item(ref)).get("mekVersion") for ref in refs]


async def test_rows_of_the_named_version_are_moved(world: World, three: tuple[str, str, str]) -> None:
    """Also onto an older version than theirs; rows of other versions, and without a label, stay."""
    first, second, third = three
    refs = [await world.add(second), await world.add(third), await world.add(third, mekVersion=...)]

    result = await rewrap(world, RewrapDeks(new_version=first, old_version=second), first, refs)

    assert (1, 2) == (result.changed, result.unchanged)
    assert [first, third, None] == await labels(world, refs)
    assert world.deks[refs[0].id].reveal() == (await world.opened(refs[0])).reveal()


async def test_without_a_named_version_all_rows_are_moved(world: World, three: tuple[str, str, str]) -> None:
    """Whatever version they are on, and where they say none; foreign rows stay."""
    first, second, third = three
    refs = [await world.add(first), await world.add(third), await world.add(third, mekVersion=...)]
    foreign = await world.add(third, mekName="other-mek")

    await rewrap(world, RewrapDeks(new_version=second), second, [*refs, foreign])

    assert [second, second, second, third] == await labels(world, [*refs, foreign])


async def test_a_restore_moves_rows_of_its_versions_and_those_without_a_label(
    world: World, three: tuple[str, str, str]
) -> None:
    """Rows under other enabled versions are somebody's choice, and stay."""
    first, second, third = three
    refs = [await world.add(first), await world.add(second), await world.add(first, mekVersion=...)]

    await rewrap(world, Restore(), third, refs, versions=(first,))

    assert [third, second, third] == await labels(world, refs)


async def test_a_dry_run_opens_rows_and_writes_none(world: World, three: tuple[str, str, str]) -> None:
    """What would be moved and what cannot be is known afterwards, and no row has changed."""
    first, _, third = three
    refs = [await world.add(first), await world.add(first, keyCheck="AAAAAAAAAAAAAAAAAAAAAA==")]
    before = [await item_without_system(world, ref) for ref in refs]

    result = await rewrap(world, RewrapDeks(new_version=third), third, refs, dry_run=True)

    assert (1, 1) == (result.changed, result.quarantined)
    assert before == [await item_without_system(world, ref) for ref in refs]


def test_a_migration_of_documents_has_no_rows() -> None:
    """Asking for them is a mistake in the code."""
    with pytest.raises(InvariantError):
        choice_of(DecryptCheck(containers=["notes"]), [])
