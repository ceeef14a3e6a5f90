"""Rewrapping only the rows that a migration is about, and trying it without writing."""

from dataclasses import replace

import pytest

from keyturn.contracts.migrations import DecryptCheck, Restore, RewrapDeks, Work
from keyturn.contracts.pages import PageResult, RowRef
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.scan import row_filter_of
from keyturn.errors import InvariantError
from tests.keyturn.deks.pages import Sink, dependencies, item_without_system
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.migrations.harness import page_of

MIGRATION = "notes.m.20261124T130000Z.abcdef"


@pytest.fixture
async def three(local_keyring: LocalKeyring) -> tuple[str, str, str]:
    """Three versions, oldest first."""
    return await local_keyring.mek.create(), await local_keyring.mek.create(), await local_keyring.mek.create()


async def rewrap(
    local_keyring: LocalKeyring,
    work: Work,
    target: str,
    refs: list[RowRef],
    *,
    versions: tuple[str, ...] = (),
    dry_run: bool = False,
) -> PageResult:
    """Rewrap those rows of a page that the work is about."""
    chosen = row_filter_of(work, versions)
    given = replace(dependencies(local_keyring, Sink()), chosen=chosen)
    return await rewrap_page(page_of(MIGRATION, target, refs, dry_run=dry_run), given)


async def labels(local_keyring: LocalKeyring, refs: list[RowRef]) -> list[str | None]:
    """Return the rows' labels."""
    return [(await local_keyring.item(ref)).get("mekVersion") for ref in refs]


async def test_rows_of_the_named_version_are_moved(local_keyring: LocalKeyring, three: tuple[str, str, str]) -> None:
    """Also onto an older version than theirs; rows of other versions, and without a label, stay."""
    first, second, third = three
    refs = [
        await local_keyring.add(second),
        await local_keyring.add(third),
        await local_keyring.add(third, mekVersion=...),
    ]

    result = await rewrap(local_keyring, RewrapDeks(new_version=first, old_version=second), first, refs)

    assert (result.changed, result.unchanged) == (1, 2)
    assert await labels(local_keyring, refs) == [first, third, None]
    assert local_keyring.deks[refs[0].id].reveal() == (await local_keyring.unwrapped(refs[0])).reveal()


async def test_without_a_named_version_all_rows_are_moved(
    local_keyring: LocalKeyring, three: tuple[str, str, str]
) -> None:
    """Whatever version they are on, and where they say none; foreign rows stay."""
    first, second, third = three
    refs = [
        await local_keyring.add(first),
        await local_keyring.add(third),
        await local_keyring.add(third, mekVersion=...),
    ]
    foreign = await local_keyring.add(third, mekName="other-mek")

    await rewrap(local_keyring, RewrapDeks(new_version=second), second, [*refs, foreign])

    assert await labels(local_keyring, [*refs, foreign]) == [second, second, second, third]


async def test_a_restore_moves_rows_of_its_versions_and_those_without_a_label(
    local_keyring: LocalKeyring, three: tuple[str, str, str]
) -> None:
    """Rows under other enabled versions are somebody's choice, and stay."""
    first, second, third = three
    refs = [
        await local_keyring.add(first),
        await local_keyring.add(second),
        await local_keyring.add(first, mekVersion=...),
    ]

    await rewrap(local_keyring, Restore(), third, refs, versions=(first,))

    assert await labels(local_keyring, refs) == [third, second, third]


async def test_a_dry_run_opens_rows_and_writes_none(local_keyring: LocalKeyring, three: tuple[str, str, str]) -> None:
    """What would be moved and what cannot be is known afterwards, and no row has changed."""
    first, _, third = three
    refs = [await local_keyring.add(first), await local_keyring.add(first, keyCheck="AAAAAAAAAAAAAAAAAAAAAA==")]
    before = [await item_without_system(local_keyring, ref) for ref in refs]

    result = await rewrap(local_keyring, RewrapDeks(new_version=third), third, refs, dry_run=True)

    assert (result.changed, result.quarantined) == (1, 1)
    assert [await item_without_system(local_keyring, ref) for ref in refs] == before


def test_a_migration_of_documents_has_no_rows() -> None:
    """Asking for them is a mistake in the code."""
    with pytest.raises(InvariantError):
        row_filter_of(DecryptCheck(containers=["notes"]), [])
