"""I14: an ended run stays as it ended; what fails or arrives afterwards changes neither a version nor the record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.contracts.steps import FailureInput, NotifyInput, ReinstateInput
from keyturn.errors import InvariantError
from keyturn.key_vault.versions import RETIRED_BY_TAG, MekVersions
from keyturn.notifications.notifier import Notifier
from keyturn.rotation import retirement
from tests.invariants.harness import SECONDS, ActivityHarness
from tests.invariants.rotation_driver import RotationDriver, ready_to_retire


@asynccontextmanager
async def frozen_before_its_disable(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """Have an instance run the retirement and freeze right before it asks the vault to disable, until this is left."""
    disable, frozen, thawed = MekVersions.retire, asyncio.Event(), asyncio.Event()

    async def freeze_first(*arguments: Any, **more: Any) -> None:
        if not frozen.is_set():
            frozen.set()
            await thawed.wait()
        await disable(*arguments, **more)

    monkeypatch.setattr(MekVersions, "retire", freeze_first)
    late = asyncio.create_task(harness.act("retire_versions", driver.retirement()))
    async with asyncio.timeout(SECONDS):
        await frozen.wait()
        yield
        thawed.set()
        await late


async def is_enabled(harness: ActivityHarness) -> bool:
    """Tell whether the version is enabled that the rotation was to replace."""
    return (await harness.vault_versions())[harness.old].enabled


async def reinstate(driver: RotationDriver) -> None:
    """Retire by another instance, and have the watch fail."""
    await driver.act("retire_versions", driver.retirement())
    await driver.advance(State.WATCHING)
    await driver.act("reinstate_versions", ReinstateInput(run=driver.ref, reason="a canary failed", step=driver.step))
    await driver.advance(State.REINSTATED)


async def test_a_disable_that_comes_after_a_reinstatement_is_taken_back(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instance that was given up disables late, and enables again itself."""
    driver = await ready_to_retire(harness)

    async with frozen_before_its_disable(harness, driver, monkeypatch):
        await reinstate(driver)
        ended = await harness.runs.read(driver.run_id)

    assert await is_enabled(harness)
    found = await harness.runs.read(driver.run_id)
    assert (found.state, found.history, found.retired) == (State.REINSTATED, ended.history, ended.retired)


async def test_broken_no_look_after_the_disable(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look at the record afterwards, the late disable stays."""
    driver = await ready_to_retire(harness)
    monkeypatch.setattr(retirement, "_is_wanted", lambda *_: True)

    async with frozen_before_its_disable(harness, driver, monkeypatch):
        await reinstate(driver)

    assert not await is_enabled(harness)


async def test_a_disable_that_comes_after_the_approval_was_void_is_taken_back(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows stood in the way and the rotation sweeps again: an old version is not disabled meanwhile."""
    driver = await ready_to_retire(harness)

    async with frozen_before_its_disable(harness, driver, monkeypatch):
        await driver.advance(State.SWEEPING)

    assert await is_enabled(harness)
    assert (await harness.runs.read(driver.run_id)).retired == []


async def test_a_disable_that_comes_after_a_later_rotation_takes_nothing_back_of_that(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a later rotation has retired stays disabled, in its name, whatever an earlier one does late."""
    driver = await ready_to_retire(harness)

    async with frozen_before_its_disable(harness, driver, monkeypatch):
        for state in (State.SWEEPING, State.ABORTED):
            await driver.advance(state)
        later = RotationDriver(harness, await harness.start(ago=2))
        await later.to_new_version()
        await later.to_frozen()
        await later.to_retiring()
        await later.act("retire_versions", later.retirement())
        for state in (State.WATCHING, State.COMPLETED):
            await later.advance(state)

    old = (await harness.versions.states())[harness.old]
    assert (old.enabled, old.tags[RETIRED_BY_TAG]) == (False, later.run_id)
    assert await harness.unapproved(await harness.runs.read(later.run_id)) == []


async def test_a_failure_that_comes_after_the_end_changes_nothing(harness: ActivityHarness) -> None:
    """A failure, a reinstatement and a retirement that come after ``completed`` change nothing."""
    driver = await ready_to_retire(harness)
    await driver.act("retire_versions", driver.retirement())
    step = driver.step + 1
    for state in (State.WATCHING, State.COMPLETED):
        await driver.advance(state)
    ended = await harness.runs.read(driver.run_id)

    failure = FailureInput(
        run=driver.ref, step=driver.step + 1, error_type="InvariantError", message="made up", retire_attempted=True
    )
    await driver.act("record_failure", failure)
    undo = ReinstateInput(run=driver.ref, reason="made up", step=step)
    answers = [
        await harness.act("reinstate_versions", undo),
        await harness.act("retire_versions", driver.retirement()),
    ]

    assert [answer["failure"]["errorType"] for answer in answers] == ["FencedError", "FencedError"]
    assert not await is_enabled(harness)
    assert (await harness.runs.read(driver.run_id)).to_document() == ended.to_document()


async def test_a_message_that_fails_after_the_end_changes_nothing(
    running_engine: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message about the end cannot be sent: the rotation stays completed, and its old version disabled."""
    tell = Notifier.tell

    async def fail_at_the_end(notifier: Notifier, notice: NotifyInput, *more: Any) -> None:
        if notice.event == "completed":
            raise InvariantError("the message cannot be composed")
        await tell(notifier, notice, *more)

    monkeypatch.setattr(Notifier, "tell", fail_at_the_end)
    await running_engine.local_keyring.add_many(3, running_engine.old)

    record = await running_engine.rotate()
    await running_engine.output_of(record.instance_id)

    assert State.COMPLETED is (await running_engine.runs.read(record.run_id)).state
    assert not await is_enabled(running_engine)


async def test_an_old_copy_of_the_record_does_not_end_a_rotation(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retirement reads the record from a replica that lags: it reads again, and does what was approved."""
    driver = await ready_to_retire(harness)
    documents = harness.runs.documents
    newest = await documents.read(harness.keyring, driver.run_id) or {}
    old = {**newest, "state": "awaiting_approval", "history": newest["history"][:-1], "step": driver.step - 1}
    read, served = documents.read, list[str]()

    async def lag(keyring: str, document_id: str) -> dict[str, Any] | None:
        if document_id == driver.run_id and len(served) < 2:
            served.append(document_id)
            return {**old, "_etag": "old"}
        return await read(keyring, document_id)

    monkeypatch.setattr(documents, "read", lag)
    answer = await harness.act("retire_versions", driver.retirement())

    assert answer["result"]["retired"] == [harness.old]
    assert not await is_enabled(harness)
