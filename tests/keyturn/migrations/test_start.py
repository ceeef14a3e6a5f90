"""A migration begins only where nothing else is at work, and what a lost one left behind is cleared away."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Restore
from keyturn.contracts.states import State
from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import IdempotencyConflictError, MigrationRunningError, RotationRunningError, UnknownMigrationError
from keyturn.ids import RunKind, keyring_of, kind_of, new_run_id
from keyturn.rotation.start import START_GRACE, StartRequest, start
from keyturn.runs import migration_leases as leases
from keyturn.runs.migration_leases import keep_lease
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import EveryRun, MigrationStore, RotationStore
from keyturn.runs.transitions import lose
from tests.keyturn.migrations.harness import NOW, new_keyring, started, step_to
from tests.keyturn.runs.lifecycle import workflows


@pytest.fixture
def runs(documents: StateContainer) -> RotationStore:
    """The store of the rotations' records, in the same container."""
    return RotationStore(documents)


async def rotate(runs: RotationStore, keyring: str) -> RotationRecord:
    """Start a rotation."""
    return await start(
        runs,
        StartRequest(),
        keyring=keyring,
        requested_by="ada@example.com",
        trigger="http",
        policy=Policy(),
        workflows=workflows(),
        starts_per_day=1000,
        now=NOW,
    )


def test_an_id_tells_its_keyring_and_its_kind() -> None:
    """Migrations and rotations are told apart by their ids alone."""
    migration_id = new_run_id(RunKind.MIGRATION, "notes", NOW)

    assert keyring_of(migration_id) == "notes"
    assert kind_of(migration_id) is RunKind.MIGRATION
    assert kind_of(new_run_id(RunKind.ROTATION, "notes", NOW)) is RunKind.ROTATION
    with pytest.raises(UnknownMigrationError):
        keyring_of(new_run_id(RunKind.ROTATION, "notes", NOW), RunKind.MIGRATION)


async def test_a_record_is_found_as_what_it_is(migrations: MigrationStore, documents: StateContainer) -> None:
    """The store of every run reads a migration's record as one."""
    record = await started(migrations)

    assert await EveryRun(documents).read(record.run_id) == record


@pytest.mark.parametrize("attempt", range(5))
async def test_of_a_rotation_and_a_migration_at_once_one_begins(
    migrations: MigrationStore, runs: RotationStore, attempt: int
) -> None:
    """Both take the keyring by the same conditional write; the other is told who has it."""
    keyring = new_keyring()
    begun = await asyncio.gather(started(migrations, keyring=keyring), rotate(runs, keyring), return_exceptions=True)

    refused = [one for one in begun if isinstance(one, RotationRunningError | MigrationRunningError)]
    [holder] = [one for one in begun if not isinstance(one, BaseException)]
    assert len(refused) == 1
    assert holder.run_id in refused[0].facts["statusUrl"]


async def test_a_lease_of_a_foreign_migration_is_respected(
    migrations: MigrationStore, documents: StateContainer
) -> None:
    """While another tool migrates the keyring, nothing begins; when its lease has expired, it does."""
    keyring = new_keyring()
    lasts = timedelta(minutes=5)
    await leases.take(documents, keyring, "backfill", "worker-1", lasts=lasts, now=NOW)

    with pytest.raises(MigrationRunningError) as refused:
        await started(migrations, keyring=keyring)

    assert refused.value.facts["holder"] == "worker-1"
    assert State.REQUESTED is (await started(migrations, keyring=keyring, now=NOW + lasts)).state


async def test_a_migration_that_lost_its_workflow_goes_on_with_another(
    migrations: MigrationStore, documents: StateContainer
) -> None:
    """The next start is refused, and the lost migration keeps its lease and gets another workflow."""
    keyring, begun = new_keyring(), list[RunRecord]()
    lost = await step_to(migrations, await started(migrations, keyring=keyring), State.RUNNING)
    await keep_lease(documents, lost, NOW)

    async def begin(record: RunRecord) -> None:
        begun.append(record)

    flows = workflows(alive=False)._replace(start=begin)
    with pytest.raises(MigrationRunningError):
        await started(migrations, keyring=keyring, alive=flows, now=NOW + START_GRACE)

    found = await migrations.read(lost.run_id)
    assert (found.state, found.fencing_token) == (State.NEEDS_ATTENTION, lost.fencing_token + 1)
    assert begun == [found]
    assert [lease.holder for lease in await leases.active(documents, keyring, NOW + START_GRACE)] == [lost.run_id]


async def test_the_lease_follows_the_record(migrations: MigrationStore, documents: StateContainer) -> None:
    """It is renewed while the migration is under way, and free at its end; twice is the same as once."""
    record = await step_to(migrations, await started(migrations), State.RUNNING)
    for minutes in (0, 10):
        await keep_lease(documents, record, NOW + timedelta(minutes=minutes))
    renewed = await leases.active(documents, record.keyring, NOW + timedelta(minutes=20))

    ended = await step_to(migrations, record, State.COMPLETED)
    for _ in range(2):
        await keep_lease(documents, ended, NOW)

    assert [lease.holder for lease in renewed] == [record.run_id]
    assert await leases.active(documents, record.keyring, NOW + timedelta(minutes=10)) == []


async def test_the_lease_of_an_earlier_migration_of_ours_is_taken_over(
    migrations: MigrationStore, documents: StateContainer
) -> None:
    """A run whose successor holds the keyring already may be about to give its lease back: nobody waits for that."""
    first = await step_to(migrations, await started(migrations), State.RUNNING)
    await keep_lease(documents, first, NOW)
    ended = await step_to(migrations, first, State.COMPLETED)
    second = await step_to(migrations, await started(migrations, keyring=first.keyring), State.RUNNING)

    await keep_lease(documents, second, NOW)
    await keep_lease(documents, ended, NOW)

    assert [lease.holder for lease in await leases.active(documents, first.keyring, NOW)] == [second.run_id]


async def test_a_lease_of_another_holder_ends_the_migration(
    migrations: MigrationStore, documents: StateContainer
) -> None:
    """Who migrates the same by other means is not worked against."""
    record = await step_to(migrations, await started(migrations), State.RUNNING)
    await leases.take(documents, record.keyring, "rewrap-deks", "worker-1", lasts=timedelta(minutes=5), now=NOW)

    with pytest.raises(MigrationRunningError):
        await keep_lease(documents, record, NOW)


async def test_the_same_request_with_the_same_key_is_one_migration(migrations: MigrationStore) -> None:
    """It is the migration of then, while that one holds the keyring and after it has ended; without a key it is not."""
    keyring, later = new_keyring(), NOW + timedelta(minutes=1)
    first = await started(migrations, keyring=keyring, idempotency_key=keyring)

    again = await started(migrations, keyring=keyring, idempotency_key=keyring, now=later)
    with pytest.raises(MigrationRunningError):
        await started(migrations, keyring=keyring, now=later)
    ended = await lose(migrations, first.run_id, "lost", later)
    afterwards = await started(migrations, keyring=keyring, idempotency_key=keyring, now=later)
    other = await started(migrations, keyring=keyring, now=later)

    assert (first, ended) == (again, afterwards)
    assert first.run_id != other.run_id


@pytest.mark.parametrize(
    "other",
    [{"reason": "another"}, {"dry_run": True}, {"work": Restore()}],
    ids=lambda other: next(iter(other)),
)
async def test_a_key_is_for_one_request(migrations: MigrationStore, other: dict[str, Any]) -> None:
    """Whoever asks for something else with it is refused, and nothing is started."""
    keyring = new_keyring()
    first = await started(migrations, keyring=keyring, idempotency_key=keyring)

    with pytest.raises(IdempotencyConflictError):
        await started(migrations, keyring=keyring, idempotency_key=keyring, **other)

    assert [record.run_id for record in await migrations.newest(keyring)] == [first.run_id]


async def test_a_key_is_its_callers_own(migrations: MigrationStore) -> None:
    """A stranger's request under the same key is one of its own, refused because the first runs."""
    keyring = new_keyring()
    await started(migrations, keyring=keyring, idempotency_key=keyring)

    with pytest.raises(MigrationRunningError):
        await started(migrations, keyring=keyring, idempotency_key=keyring, requested_by="eve@example.com")
