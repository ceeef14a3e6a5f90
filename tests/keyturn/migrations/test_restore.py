"""A restore enables what somebody approved and nothing else, and disables it again only where no row names it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts import LendInput, LendResult, Restore, RestoreFound, RestoreInput, ReturnInput, ReturnResult
from keyturn.contracts.states import State
from keyturn.errors import FencedError, InvariantError, UnavailableError
from keyturn.key_vault.versions import LENT_TO_TAG, RETIRED_BY_TAG
from keyturn.migrations import restore
from keyturn.runs.record_parts import Decision
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore
from tests.keyturn.migrations.scene import NOW, enabled, started, step_to, versions_of
from tests.keyturn.world import ROTATION, World


@pytest.fixture
async def retired(world: World) -> tuple[str, str]:
    """A version that a rotation has retired, and the current one."""
    old, new = await world.mek.create(), await world.mek.create()
    until = datetime(2026, 12, 24, tzinfo=UTC)
    await versions_of(world).retire([old], target_version=new, run_id=ROTATION, retain_until=until)
    return old, new


async def add_under(world: World, version: str, count: int = 1) -> None:
    """Store rows under a retired version, as they come back from a backup."""
    await world.mek.admin.update_key_properties(world.mek.name, version, enabled=True)
    await world.add_many(count, version)
    await world.mek.admin.update_key_properties(world.mek.name, version, enabled=False)


async def running(migrations: MigrationStore) -> MigrationRecord:
    """Return a restore that runs."""
    return await step_to(migrations, await started(migrations, Restore()), State.RUNNING)


async def freeze(world: World, migrations: MigrationStore, record: MigrationRecord) -> RestoreFound:
    """Look, and freeze what was found."""
    request = RestoreInput(run=record.ref, step=record.step, expires_at=NOW + timedelta(days=7))
    found = await restore.survey(world.store, versions_of(world))
    return await restore.freeze_restore(migrations, request, found, NOW)


async def approved(world: World, migrations: MigrationStore) -> MigrationRecord:
    """Return a restore whose evidence was approved."""
    record = await running(migrations)
    digest = (await freeze(world, migrations, record)).evidence_digest or ""
    decision = Decision(decision="approved", by="grace@example.com", digest=digest, at=NOW)
    record = await step_to(migrations, record, State.AWAITING_APPROVAL)
    record = await migrations.update(record.run_id, lambda run: run.changed(decision=decision))
    return await step_to(migrations, record, State.RUNNING)


async def lend(world: World, migrations: MigrationStore, record: MigrationRecord) -> LendResult:
    """Enable what was approved."""
    request = LendInput(run=record.ref, evidence_digest=record.evidence_digest or "")
    return await restore.lend_approved(migrations, request, world.store, versions_of(world))


async def give_back(world: World, migrations: MigrationStore, record: MigrationRecord) -> ReturnResult:
    """Disable again what no row names."""
    return await restore.return_versions(migrations, ReturnInput(run=record.ref), world.store, versions_of(world))


async def remove_rows(world: World) -> None:
    """Empty the dek store."""
    async for row in world.container.read_all_items():
        await world.container.delete_item(row["id"], partition_key=row["id"])


async def tags_of(world: World, version: str) -> dict[str, str]:
    """Return the version's tags."""
    return dict((await versions_of(world).states())[version].tags)


async def test_what_is_found_is_frozen_once(world: World, migrations: MigrationStore, retired: tuple[str, str]) -> None:
    """The evidence counts the rows by disabled version; the same step freezes no other evidence."""
    old, new = retired
    await add_under(world, old, 2)
    await world.add_many(3, new)
    record = await running(migrations)

    first = await freeze(world, migrations, record)
    await add_under(world, old)
    again = await freeze(world, migrations, record)

    stored = await migrations.read(record.run_id)
    assert (new, [old], 2) == (first.target_version, first.versions, first.rows)
    assert first == again
    assert {old: 2} == (stored.evidence or {})["versions"]


async def test_without_such_rows_there_is_no_evidence(
    world: World, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Nobody is asked about nothing."""
    await world.add(retired[1])

    assert (await freeze(world, migrations, await running(migrations))).evidence_digest is None


async def test_nothing_is_enabled_without_an_approval(
    world: World, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Neither before the decision, nor on other evidence than was approved, nor by a run that was replaced."""
    await add_under(world, retired[0])
    undecided = await running(migrations)
    await freeze(world, migrations, undecided)
    record = await approved(world, migrations)

    for request in (
        LendInput(run=undecided.ref, evidence_digest=(await migrations.read(undecided.run_id)).evidence_digest or ""),
        LendInput(run=record.ref, evidence_digest="0" * 64),
    ):
        with pytest.raises(InvariantError):
            await restore.lend_approved(migrations, request, world.store, versions_of(world))
    with pytest.raises(FencedError):
        await lend(world, migrations, record.changed(fencing_token=record.fencing_token + 1))

    assert {retired[1]} == await enabled(world)


async def test_a_version_that_nobody_approved_voids_the_approval(
    world: World, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Rows that name yet another disabled version by then have nothing enabled."""
    await add_under(world, retired[0])
    record = await approved(world, migrations)
    third, new = await world.mek.create(), await world.mek.create()
    await world.add(third)
    await world.mek.admin.update_key_properties(world.mek.name, third, enabled=False)

    result = await lend(world, migrations, record)

    assert ([], [third]) == (result.lent, result.missing)
    assert {retired[1], new} == await enabled(world)


async def test_versions_are_lent_and_go_back_as_they_were(
    world: World, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """A lent version stays enabled while a row names it; then it is retired by whom it was retired before."""
    old, new = retired
    await add_under(world, old, 2)
    before, record = await tags_of(world, old), await approved(world, migrations)

    lent = [await lend(world, migrations, record) for _ in range(2)]
    kept = await give_back(world, migrations, record)

    assert [[old], [old]] == [one.lent for one in lent]
    assert ReturnResult(returned=[], kept={old: 2}) == kept
    assert {old, new} == await enabled(world)
    assert record.run_id == (await tags_of(world, old))[LENT_TO_TAG]

    await remove_rows(world)
    returned = [await give_back(world, migrations, record) for _ in range(2)]

    assert [ReturnResult(returned=[old], kept={})] * 2 == returned
    assert {new} == await enabled(world)
    assert before == await tags_of(world, old)
    assert ROTATION == before[RETIRED_BY_TAG]


async def test_a_row_that_appears_while_disabling_keeps_its_version(
    world: World, migrations: MigrationStore, retired: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written under the version between the counts is readable again at once."""
    old, _ = retired
    await add_under(world, old)
    record = await approved(world, migrations)
    await lend(world, migrations, record)
    await remove_rows(world)
    await world.mek.client.get_version(old)  # the writer has its public key, and goes on using it
    count = restore.take_census

    async def late_writer(*arguments: Any) -> Any:
        if old not in await enabled(world):
            await world.add(old)
        return await count(*arguments)

    monkeypatch.setattr(restore, "take_census", late_writer)

    assert {old: 1} == (await give_back(world, migrations, record)).kept
    assert old in await enabled(world)


@pytest.mark.parametrize("crash", [False, True])
async def test_a_second_count_that_fails_or_is_never_made_leaves_no_row_unreadable(
    world: World,
    migrations: MigrationStore,
    retired: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    crash: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    """After a failure, or a death between disabling and counting, the version of a row that is there is enabled."""
    old, _ = retired
    await add_under(world, old)
    record = await approved(world, migrations)
    await lend(world, migrations, record)
    await remove_rows(world)
    await world.mek.client.get_version(old)
    count = restore.take_census

    async def fail_second(*arguments: Any) -> Any:
        if old not in await enabled(world):
            await world.add(old)
            raise KeyboardInterrupt if crash else UnavailableError("the dek store did not answer")
        return await count(*arguments)

    monkeypatch.setattr(restore, "take_census", fail_second)
    with pytest.raises(KeyboardInterrupt if crash else UnavailableError):
        await give_back(world, migrations, record)
    monkeypatch.setattr(restore, "take_census", count)

    assert crash == (old not in await enabled(world))
    assert {old: 1} == (await give_back(world, migrations, record)).kept
    assert old in await enabled(world)


async def test_a_loan_that_a_lost_restore_left_behind_is_the_next_ones(
    world: World, migrations: MigrationStore, retired: tuple[str, str]
) -> None:
    """Rows under it are found like those of a disabled version, and it is disabled again at the end."""
    old, new = retired
    await add_under(world, old)
    await lend(world, migrations, await approved(world, migrations))

    record = await approved(world, migrations)
    lent = (await lend(world, migrations, record)).lent
    await remove_rows(world)
    await give_back(world, migrations, record)

    assert [old] == lent
    assert {new} == await enabled(world)
