"""I4: one new MEK version a rotation, however often anything is retried or killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.key_vault import creation
from keyturn.rotation import new_version
from keyturn.rotation.new_version import RecordedIntent
from tests.invariants.checks.versions import MADE_BY
from tests.invariants.harness import SECONDS, ActivityHarness
from tests.invariants.rotation_driver import RotationDriver, begun_with, blind, not_one_version

SETTLE = timedelta(seconds=30)  # in which even a busy machine makes the late version; the wait ends when it is there


@asynccontextmanager
async def creation_of_a_dead_run(harness: ActivityHarness, driver: RotationDriver) -> AsyncIterator[None]:
    """Write the intent of a run that died then; the version that it asked for comes true once the app looked for it."""
    intent = RecordedIntent(harness.runs, driver.ref)
    await intent.declare(datetime.now(UTC), replacing=None)

    async def come_true() -> None:
        async with asyncio.timeout(SECONDS):
            while True:
                if any(call["operation"] == "list" for call in await asyncio.to_thread(harness.operations)):
                    break
                await asyncio.sleep(0.01)
        await harness.local_keyring.mek.create(tags={MADE_BY: driver.run_id})

    late = asyncio.create_task(come_true())
    yield
    await late


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "throttle"])
async def test_a_lost_answer_and_a_second_run_make_one(
    harness: ActivityHarness, driver: RotationDriver, fault: str
) -> None:
    """Whatever becomes of the answer to the creation, and however often the activity runs, there is one version."""
    harness.local_keyring.mek.fault(operation="create", kind=fault)

    answers = [await harness.act("create_version", driver.creation()) for _ in range(3)]

    assert len({answer["result"]["version"] for answer in answers}) == 1
    assert await not_one_version(harness, driver) == []


async def test_two_runs_at_once_make_one(harness: ActivityHarness, driver: RotationDriver) -> None:
    """An activity that was handed out twice makes one version, known to both runs."""
    both = await asyncio.gather(*(harness.act("create_version", driver.creation()) for _ in range(2)))

    assert both[0] == both[1]
    assert await not_one_version(harness, driver) == []


async def test_the_creation_of_a_run_that_died_is_waited_for(harness: ActivityHarness) -> None:
    """Where a run died after it had asked for a version, that version is waited for, not made again.

    For as long as its record says: an input that says otherwise changes nothing, and the task hub may be written to.
    """
    driver = await begun_with(harness, creation_settle=SETTLE)
    hasty = driver.creation().model_copy(update={"creation_settle": timedelta(0), "key_size": 3072})
    async with creation_of_a_dead_run(harness, driver):
        await harness.act("create_version", hasty)

    assert await not_one_version(harness, driver) == []


async def test_broken_the_tag_is_not_looked_for(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the tag and the record, either of which is enough, a second run makes a second version."""
    monkeypatch.setattr(creation, "own_version", blind)
    monkeypatch.setattr(new_version, "record_new_version", blind)

    for _ in range(2):
        await harness.act("create_version", driver.creation())

    assert await not_one_version(harness, driver) == ["2 versions were made, not 1"]


async def test_broken_the_intent_is_not_looked_at(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the intent of the run that died, its version is made again before it comes true."""
    async with creation_of_a_dead_run(harness, driver):
        monkeypatch.setattr(RecordedIntent, "declared", blind)
        monkeypatch.setattr(RecordedIntent, "declare", lambda *_, **__: asyncio.sleep(0, result=True))
        await harness.act("create_version", driver.creation())

    assert await not_one_version(harness, driver) == ["2 versions were made, not 1"]


async def test_broken_the_version_is_not_tagged(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version without the rotation's tag is told from one that has it."""
    monkeypatch.setattr(creation, "ROTATION_TAG", "keyturn-made-up")

    await harness.act("create_version", driver.creation())
    (made,) = (await harness.vault_versions()).keys() - {harness.old}

    assert await not_one_version(harness, driver) == [f"version {made} does not name its rotation"]
