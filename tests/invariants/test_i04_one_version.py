"""I4: one new MEK version a rotation, however often anything is retried or killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn import steps
from keyturn.contracts.migrations import Rollback
from keyturn.contracts.states import TERMINAL, State
from keyturn.errors import NotSettledError
from keyturn.key_vault import creation
from keyturn.rotation.new_version import RecordedIntent
from keyturn.runs.commands import record_command
from tests.invariants.checks.versions import MADE_BY, not_one_new_version
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import begun, roll_back
from tests.invariants.rotation_driver import RotationDriver
from tests.invariants.steps import Steps

LATE_SECONDS = 0.8
SETTLE = timedelta(seconds=30)  # in which even a busy machine makes the late version; the wait ends when it is there


@pytest.fixture
async def driver(harness: ActivityHarness) -> RotationDriver:
    """A rotation at its beginning, of a store with a few rows."""
    return await begun_with(harness)


async def begun_with(harness: ActivityHarness, **policy: Any) -> RotationDriver:
    """Begin a rotation under the policy."""
    await harness.local_keyring.add_many(2, harness.old)
    return RotationDriver(harness, await harness.start(**policy))


async def wrong(harness: ActivityHarness, driver: RotationDriver) -> list[str]:
    """Ask the vault which versions the rotation has made."""
    return not_one_new_version({harness.old}, await harness.vault_versions(), driver.run_id)


@asynccontextmanager
async def creation_of_a_dead_run(harness: ActivityHarness, driver: RotationDriver) -> AsyncIterator[None]:
    """Write the intent of a run that died then, and let the version that it asked for come true late."""
    intent = RecordedIntent(harness.runs, driver.ref)
    await intent.declare(datetime.now(UTC), replacing=None)

    async def come_true() -> None:
        await asyncio.sleep(LATE_SECONDS)
        await harness.local_keyring.mek.create(tags={MADE_BY: driver.run_id})

    late = asyncio.create_task(come_true())
    yield
    await late


async def blind(*_: Any, **_more: Any) -> None:
    """Look for no version, and write none down."""


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "throttle"])
async def test_a_lost_answer_and_a_second_run_make_one(
    harness: ActivityHarness, driver: RotationDriver, fault: str
) -> None:
    """Whatever becomes of the answer to the creation, and however often the activity runs, there is one version."""
    harness.local_keyring.mek.fault(operation="create", kind=fault)

    answers = [await harness.act("create_version", driver.creation()) for _ in range(3)]

    assert len({answer["result"]["version"] for answer in answers}) == 1
    assert await wrong(harness, driver) == []


async def test_two_runs_at_once_make_one(harness: ActivityHarness, driver: RotationDriver) -> None:
    """An activity that was handed out twice makes one version, known to both runs."""
    both = await asyncio.gather(*(harness.act("create_version", driver.creation()) for _ in range(2)))

    assert both[0] == both[1]
    assert await wrong(harness, driver) == []


async def test_the_creation_of_a_run_that_died_is_waited_for(harness: ActivityHarness) -> None:
    """Where a run died after it had asked for a version, that version is waited for, not made again.

    For as long as its record says: an input that says otherwise changes nothing, and the task hub may be written to.
    """
    driver = await begun_with(harness, creation_settle=SETTLE)
    hasty = driver.creation().model_copy(update={"creation_settle": timedelta(0), "key_size": 3072})
    async with creation_of_a_dead_run(harness, driver):
        await harness.act("create_version", hasty)

    assert await wrong(harness, driver) == []


async def test_broken_nobody_looks_for_the_tag(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the tag and the record, either of which is enough, a second run makes a second version."""
    monkeypatch.setattr(creation, "own_version", blind)
    monkeypatch.setattr(steps.new_version, "record_new_version", blind)

    for _ in range(2):
        await harness.act("create_version", driver.creation())

    assert await wrong(harness, driver) == ["2 versions were made, not 1"]


async def test_broken_the_intent_is_not_looked_at(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the intent of the run that died, its version is made again before it comes true."""
    async with creation_of_a_dead_run(harness, driver):
        monkeypatch.setattr(RecordedIntent, "declared", blind)
        monkeypatch.setattr(RecordedIntent, "declare", lambda *_, **__: asyncio.sleep(0, result=True))
        await harness.act("create_version", driver.creation())

    assert await wrong(harness, driver) == ["2 versions were made, not 1"]


async def test_broken_the_version_is_not_tagged(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version without the rotation's tag is told from one that has it."""
    monkeypatch.setattr(creation, "ROTATION_TAG", "keyturn-made-up")

    await harness.act("create_version", driver.creation())
    (made,) = (await harness.vault_versions()).keys() - {harness.old}

    assert await wrong(harness, driver) == [f"version {made} does not name its rotation"]


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


@pytest.mark.parametrize("seen", [steps.PAGE_MAX, 1], ids=["all are seen", "only the last one is seen"])
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
