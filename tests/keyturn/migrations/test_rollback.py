"""What is looked at before a rotation is rolled back: whether later runs have taken over what it did."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from keyturn.contracts.base import RunRef
from keyturn.contracts.migrations import Rollback
from keyturn.contracts.pages import PageInput, PageResult, RowRef
from keyturn.contracts.states import State
from keyturn.deks.rewrap import rewrap_page
from keyturn.deks.rollback import Origins, roll_back_page
from keyturn.deks.scan import row_filter_of
from keyturn.errors import WrongStateError
from keyturn.migrations.requests import changed_since, require_not_overtaken
from keyturn.runs.record_parts import PhaseProgress
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import MigrationStore, RotationStore
from tests.keyturn.deks.pages import Sink, dependencies
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.migrations.harness import started, step_to, versions_of
from tests.keyturn.runs.lifecycle import NOW, PATHS, make_record, new_keyring, start_run
from tests.keyturn.runs.lifecycle import step_to as rotation_to

pytestmark = pytest.mark.usefixtures("mixed_types")

MOVED = PhaseProgress.model_validate(
    {
        "passNumber": 1,
        "wave": 1,
        "scanned": 5,
        "current": {"changed": 5},
        "startedAt": NOW.isoformat(),
        "updatedAt": NOW.isoformat(),
    }
)


async def rotated(runs: RotationStore, keyring: str, *, moved: bool = True) -> RotationRecord:
    """Return a rotation of the keyring that was aborted after its sweep."""
    record = await start_run(runs, keyring)
    for target in PATHS[State.ABORTED]:
        record = await rotation_to(runs, record, target)
    progress = {"sweep": MOVED} if moved else {}
    return await runs.update(record.run_id, lambda run: run.changed(target_version="f" * 32, progress=progress))


async def rolled_back(migrations: MigrationStore, rotation: RotationRecord, end: State, *, dry_run: bool) -> None:
    """Record a rollback of the rotation that ended so."""
    work = Rollback(rotation=rotation.ref, new_version="f" * 32)
    migration = await started(migrations, work, keyring=rotation.keyring, dry_run=dry_run)
    for target in (State.RUNNING, end):
        migration = await step_to(migrations, migration, target)


async def overtaken(runs: RotationStore, migrations: MigrationStore, rotation: RotationRecord) -> str | None:
    """Return the rotation that is to be rolled back before this one."""
    try:
        await require_not_overtaken(rotation, runs, migrations)
    except WrongStateError as error:
        return str(error.facts["laterRotationId"])
    return None


async def test_the_newest_rotation_that_moved_rows_goes_first(runs: RotationStore, migrations: MigrationStore) -> None:
    """Later rotations are named from the newest on, each until it was rolled back; one that moved nothing is none."""
    keyring = new_keyring()
    first, second, third = [await rotated(runs, keyring) for _ in range(3)]
    idle = await rotated(runs, keyring, moved=False)

    assert await overtaken(runs, migrations, first) == third.run_id
    assert await overtaken(runs, migrations, third) is None
    assert await overtaken(runs, migrations, idle) is None
    for end, dry_run in ((State.ABORTED, False), (State.COMPLETED, True)):
        await rolled_back(migrations, third, end, dry_run=dry_run)
        assert await overtaken(runs, migrations, second) == third.run_id
    await rolled_back(migrations, third, State.COMPLETED, dry_run=False)
    assert await overtaken(runs, migrations, second) is None
    assert await overtaken(runs, migrations, first) == second.run_id


async def test_a_rotation_that_retired_versions_counts_too(runs: RotationStore, migrations: MigrationStore) -> None:
    """It found all rows moved, and retired the versions that they would go back to."""
    keyring = new_keyring()
    first, second = [await rotated(runs, keyring, moved=number == 0) for number in range(2)]
    await runs.update(second.run_id, lambda run: run.changed(retired=["one"]))

    assert await overtaken(runs, migrations, first) == second.run_id


def rotation_of(number: int, target: str, old: str) -> RotationRecord:
    """Return the rotation with this token."""
    run_id = f"notes.2026112{number}T120000Z.abcdef"
    return make_record("notes", run_id=run_id, fencing_token=number, target_version=target, old_versions=[old])


def page(run: RunRef, target: str, refs: Sequence[RowRef]) -> PageInput:
    """Return a page's input."""
    return PageInput(run=run, target_version=target, refs=list(refs), operations_per_second=1000)


async def rewrap(local_keyring: LocalKeyring, run: RunRef, target: str, refs: Sequence[RowRef]) -> None:
    """Rewrap the rows in a run."""
    await rewrap_page(page(run, target, refs), dependencies(local_keyring, Sink()))


def work_of(rotation: RotationRecord, *adopted: RotationRecord) -> tuple[Rollback, list[str]]:
    """Return the work of rolling a rotation back that has adopted others, and the versions that all replaced."""
    ids, target = [each.run_id for each in adopted], rotation.target_version or ""
    work = Rollback(rotation=rotation.ref, adopted=ids, new_version=target)
    return work, [version for each in (rotation, *adopted) for version in each.old_versions]


async def since(local_keyring: LocalKeyring, rotation: RotationRecord, *adopted: RotationRecord) -> int:
    """Count the rows that later runs have changed."""
    return await changed_since(local_keyring.store, *work_of(rotation, *adopted))


async def roll_back(
    local_keyring: LocalKeyring, rotation: RotationRecord, token: int, refs: Sequence[RowRef], *adopted: RotationRecord
) -> PageResult:
    """Roll the rows of a rotation back, and those of the rotations that it has adopted."""
    work, replaced = work_of(rotation, *adopted)
    origins = Origins(rotation.run_id, replaced, await versions_of(local_keyring).states())
    run = RunRef(run_id="notes.m.20261129T120000Z.abcdef", keyring="notes", fencing_token=token)
    return await roll_back_page(
        page(run, work.new_version, refs),
        replace(dependencies(local_keyring, Sink()), chosen=row_filter_of(work, [])),
        origins,
    )


async def test_rows_that_later_runs_have_changed_are_counted(local_keyring: LocalKeyring) -> None:
    """A later rotation's rows count, also those that its rollback has put back; the rotation's own do not."""
    old, new, newer = [await local_keyring.mek.create() for _ in range(3)]
    first, second = rotation_of(1, new, old), rotation_of(2, newer, new)
    refs = await local_keyring.add_many(5, old)
    counts = []

    await rewrap(local_keyring, first.ref, new, refs)
    await local_keyring.add(newer)  # a writer's own
    counts.append(await since(local_keyring, first))
    await rewrap(local_keyring, second.ref, newer, refs[:3])
    counts.append(await since(local_keyring, first))
    assert (await roll_back(local_keyring, second, 3, refs[:2])).changed == 2
    counts.append(await since(local_keyring, first))

    assert counts == [0, 3, 3]
    assert await since(local_keyring, second) == 0  # what was rolled back is where it was found


async def test_rows_that_went_back_or_came_from_elsewhere_do_not_count(local_keyring: LocalKeyring) -> None:
    """A rollback may be repeated, and a restore may have moved other rows onto the rotation's version."""
    older, old, new = [await local_keyring.mek.create() for _ in range(3)]
    first = rotation_of(1, new, old)
    refs, restored = await local_keyring.add_many(2, old), await local_keyring.add_many(2, older)
    await rewrap(local_keyring, first.ref, new, refs)
    restore = RunRef(run_id="notes.m.20261122T120000Z.abcdef", keyring="notes", fencing_token=2)
    await rewrap(local_keyring, restore, new, restored)

    assert (await roll_back(local_keyring, first, 3, [*refs, *restored])).changed == 2
    assert await since(local_keyring, first) == 0


@pytest.mark.parametrize("usable", [True, False])
async def test_adopted_rows_go_back_to_where_each_came_from(local_keyring: LocalKeyring, *, usable: bool) -> None:
    """One whose version is not usable any more goes to the newest that is; one that was written since stays."""
    oldest, old, new = [await local_keyring.mek.create() for _ in range(3)]
    first, second = rotation_of(1, new, oldest), rotation_of(2, new, old)
    theirs = [*await local_keyring.add_many(2, oldest), await local_keyring.add(old)]
    await rewrap(local_keyring, first.ref, new, theirs)
    own = await local_keyring.add(old)
    await rewrap(local_keyring, second.ref, new, [own])
    await local_keyring.container.delete_item(theirs[1].id, theirs[1].id)
    await local_keyring.add(new, id=theirs[1].id)  # the backend gives a row another DEK
    await local_keyring.mek.change(oldest, enabled=usable)
    refs = [*theirs, own]

    done = await roll_back(local_keyring, second, 3, refs, first)
    again = await roll_back(local_keyring, second, 3, refs, first)

    labels = [(await local_keyring.item(ref))["mekVersion"] for ref in refs]
    assert labels == [oldest if usable else old, new, old, old]
    assert (done.changed, done.quarantined, again.changed) == (3, 0, 0)
    assert await since(local_keyring, second, first) == 0
