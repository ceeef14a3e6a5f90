"""I4: an unfinished rotation's version is adopted, and none is made beside it."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn import steps
from keyturn.contracts.base import RunInput
from keyturn.contracts.migrations import Rollback
from keyturn.contracts.states import TERMINAL, State
from keyturn.errors import NotSettledError, WrongStateError
from keyturn.migrations import requests
from keyturn.migrations.requests import rollback_work
from keyturn.rotation import new_version
from keyturn.rotation.new_version import RecordedIntent
from keyturn.runs.commands import record_command
from keyturn.runs.store import PAGE_MAX
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import adopting, begun, given_up, roll_back
from tests.invariants.rotation_driver import RotationDriver, begun_with
from tests.invariants.steps import Steps
from tests.invariants.twice import Twice


async def abandon(harness: ActivityHarness, driver: RotationDriver) -> None:
    """Move the rows, and end the rotation before its work is done."""
    await driver.to_new_version()
    await driver.to_frozen()
    await driver.advance(State.ABORTED)


async def test_a_new_rotation_adopts_the_version_of_an_aborted_one(
    harness: ActivityHarness, driver: RotationDriver
) -> None:
    """The next rotation takes the version and the rows over: it makes none, moves none, and proves all."""
    await abandon(harness, driver)
    later = RotationDriver(harness, await harness.start())

    await later.to_new_version()
    await later.advance(State.SWEEPING)
    moved = await later.work("rewrap")
    await later.advance(State.SOAKING)
    proven = await later.work("prove")

    assert (later.target, moved, proven) == (driver.target, 0, len(await harness.rows()))
    assert (await harness.runs.read(later.run_id)).adopted == [driver.run_id]
    assert len(await harness.vault_versions()) == 2


@pytest.mark.parametrize("seen", [PAGE_MAX, 1], ids=["all are seen", "only the last one is seen"])
async def test_starts_and_aborts_add_no_versions(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    """However often it is done, and though the rotation that made the version is out of sight by then."""
    monkeypatch.setattr(steps, "PAGE_MAX", seen)
    targets = set()
    for _ in range(4):
        driver = await begun_with(harness)
        await driver.to_new_version()
        await driver.advance(State.ABORTED)
        targets.add(driver.target)

    assert len(targets) == 1
    assert len(await harness.vault_versions()) == 2


async def test_a_version_that_rows_were_moved_off_is_not_adopted(
    harness: ActivityHarness, driver: RotationDriver
) -> None:
    """A page of the rollback in between may still be on its way: it must not find its rows in place."""
    await abandon(harness, driver)
    work = Rollback(rotation=driver.ref, new_version=driver.target)
    await roll_back(Steps(harness, await begun(harness, work)), work)
    later = RotationDriver(harness, await harness.start())

    await later.to_new_version()

    assert later.target != driver.target
    assert (await harness.runs.read(later.run_id)).adopted == []


@pytest.mark.parametrize("rotations", [2, 4])
async def test_a_rollback_takes_the_adopted_rows_back_too(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch, rotations: int
) -> None:
    """Every row of the chain goes back to the wrap that it had, however often a version was adopted."""
    monkeypatch.setattr(new_version, "ADOPTED_MAX", 2)  # of four, a record names half of those that it adopted
    newest = await adopting(harness, rotations)
    moved = await harness.rows()
    work = await rollback_work(newest, harness.runs)
    record = await begun(harness, work)
    twice = Twice(harness, record.run_id)

    await roll_back(Steps(harness, record, twice.act), work)

    assert twice.wrong == []
    assert len(work.adopted) == rotations - 1
    wraps = {row["id"]: row["previousWrap"]["wrappedDek"] for row in moved}
    assert {row["id"]: row["wrappedDek"] for row in await harness.rows()} == wraps
    assert {row["mekVersion"] for row in await harness.rows()} == {harness.old}
    assert await harness.changed_deks() == []


async def test_rows_go_back_to_a_version_that_the_adopted_rotation_alone_replaced(harness: ActivityHarness) -> None:
    """It was disabled while the next rotation began. What went back to it is where it was found: it can go on."""
    await harness.local_keyring.mek.create()
    await given_up(harness)
    await harness.local_keyring.mek.change(harness.old, enabled=False)
    newest = await given_up(harness, 0)
    await harness.local_keyring.mek.change(harness.old, enabled=True)
    rotation = await harness.runs.read(newest.rotation.run_id)
    work = await rollback_work(rotation, harness.runs)

    await roll_back(Steps(harness, await begun(harness, work)), work)
    again = Steps(harness, await begun(harness, work))
    changed = await again.act("count_changed_since", RunInput(run=again.ref))

    assert (rotation.adopted, harness.old in rotation.old_versions) == (work.adopted, False)
    assert {row["mekVersion"] for row in await harness.rows()} == {harness.old}
    assert await harness.changed_deks() == []
    assert changed == {"rows": 0}


async def test_a_chain_that_is_too_long_is_not_rolled_back_in_part(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that a rollback could not take along are no surprise after it: it is refused, with another way."""
    monkeypatch.setattr(requests, "CHAIN_MAX", 1)
    newest = await adopting(harness, 3)

    with pytest.raises(WrongStateError, match="rewrap-deks"):
        await rollback_work(newest, harness.runs)


async def test_a_creation_that_an_earlier_rotation_left_is_waited_for(
    harness: ActivityHarness, driver: RotationDriver
) -> None:
    """While the version of a rotation that ended may still come true, the next one makes none."""
    await driver.advance(State.PREFLIGHT)
    await driver.advance(State.CREATING_VERSION)
    intent = RecordedIntent(harness.runs, driver.ref)
    await intent.declare(datetime.now(UTC) + timedelta(hours=1), replacing=None)
    await driver.advance(State.ABORTED)
    later = RotationDriver(harness, await harness.start())
    await later.advance(State.PREFLIGHT)
    await later.advance(State.CREATING_VERSION)

    with pytest.raises(NotSettledError):
        await harness.act("create_version", later.creation())

    assert len(await harness.vault_versions()) == 1


async def test_a_rotation_goes_on_with_its_version_after_a_refusal(running_engine: ActivityHarness) -> None:
    """The vault refuses in mid-sweep: the rotation waits for an operator, goes on, and moves no row twice."""
    mek = running_engine.local_keyring.mek
    await running_engine.local_keyring.add_many(40, running_engine.old)
    mek.fault(operation="unwrap", kind="status", status=403, skip=15, count=None)
    record = await running_engine.start(page_rows=10, window_pages=1)
    await running_engine.begin(record)
    waiting = await running_engine.reaches(record, State.NEEDS_ATTENTION)
    moved = {row["id"]: row["_etag"] for row in await running_engine.rows() if row["mekVersion"] != running_engine.old}

    mek.vault.control("DELETE", "faults")
    await record_command(running_engine.runs, record.run_id, "retry", by="ops@example.com", now=datetime.now(UTC))
    await running_engine.wake(record, "command")
    await running_engine.decide(await running_engine.reaches(record, State.AWAITING_APPROVAL))
    await running_engine.wake(record)
    ended = await running_engine.reaches(record, *TERMINAL)

    assert "PermissionMissingError" in waiting.history[-1].detail
    assert (ended.state, len(await running_engine.vault_versions())) == (State.COMPLETED, 2)
    assert 0 < len(moved) < 40
    assert moved.items() <= {row["id"]: row["_etag"] for row in await running_engine.rows()}.items()
