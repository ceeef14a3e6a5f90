"""I5: nothing is retired without an approval bound to evidence that still holds, by someone but the requester."""

from collections.abc import Callable

import pytest

from keyturn.contracts.base import StepInput
from keyturn.contracts.states import State
from keyturn.errors import ForbiddenError
from keyturn.rotation import retirement as approved_retirement
from keyturn.runs import decisions as decision
from keyturn.runs import transitions
from keyturn.runs.records import RotationRecord
from tests.invariants.harness import REQUESTER, ActivityHarness
from tests.invariants.rotation_driver import RotationDriver

type Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
async def driver(harness: ActivityHarness) -> RotationDriver:
    """A rotation that waits for a decision."""
    await harness.local_keyring.add_many(2, harness.old)
    driver = RotationDriver(harness, await harness.start(ago=2))
    await driver.to_new_version()
    await driver.to_frozen()
    return driver


async def retire(harness: ActivityHarness, driver: RotationDriver) -> list[str]:
    """Enter the state, run the activity if that went well, and return what the check says."""
    entered = await harness.act("advance", StepInput(run=driver.ref, step=driver.step + 1, target=State.RETIRING))
    if "result" in entered:
        driver.step += 1
        await harness.act("retire_versions", driver.retirement())
    return await harness.unapproved(await harness.runs.read(driver.run_id))


async def is_disabled(harness: ActivityHarness) -> bool:
    """Tell whether the old version is disabled."""
    return not (await harness.vault_versions())[harness.old].enabled


def without_check_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let anybody enter the state ``retiring``."""
    monkeypatch.setattr(transitions, "_check_may_retire", lambda _: None)


def without_check_of_the_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the activity retire whatever was decided."""
    monkeypatch.setattr(approved_retirement, "_check_approved", lambda *_: None)


async def thaw(harness: ActivityHarness, driver: RotationDriver) -> None:
    """Change what the evidence says after it was approved."""

    def change(record: RotationRecord) -> RotationRecord:
        evidence = {**(record.evidence or {}), "quarantined": 7}
        return record.changed(evidence=evidence, evidence_digest="e" * 64)

    await harness.runs.update(driver.run_id, change)


async def test_an_approval_of_the_evidence_by_another_retires(harness: ActivityHarness, driver: RotationDriver) -> None:
    """With the approval of somebody else, on the evidence in force, the old version is disabled."""
    await harness.decide(await harness.runs.read(driver.run_id))

    assert await retire(harness, driver) == []
    assert await is_disabled(harness)


@pytest.mark.parametrize("guard", [without_check_of_the_step, without_check_of_the_activity, lambda _: None])
async def test_without_an_approval_nothing_is_retired(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch, guard: Break
) -> None:
    """Nobody decided: neither check lets the version be disabled, also where the other one is missing."""
    guard(monkeypatch)

    assert await retire(harness, driver) == []
    assert not await is_disabled(harness)


async def test_an_approval_of_other_evidence_does_not_count(harness: ActivityHarness, driver: RotationDriver) -> None:
    """Evidence that changed after the approval keeps the version enabled."""
    await harness.decide(await harness.runs.read(driver.run_id))
    await thaw(harness, driver)

    assert await retire(harness, driver) == []
    assert not await is_disabled(harness)


@pytest.mark.parametrize("name", [REQUESTER, REQUESTER.upper(), f" {REQUESTER} "])
async def test_the_requester_cannot_approve(harness: ActivityHarness, driver: RotationDriver, name: str) -> None:
    """The requester's own approval is refused, in whatever way the name is written."""
    with pytest.raises(ForbiddenError):
        await harness.decide(await harness.runs.read(driver.run_id), approver=name)

    assert await retire(harness, driver) == []
    assert not await is_disabled(harness)


async def test_broken_both_checks_of_the_approval(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With neither check a version is retired that nobody approved."""
    without_check_of_the_step(monkeypatch)
    without_check_of_the_activity(monkeypatch)

    assert await retire(harness, driver) == [f"version {harness.old} is retired, but nobody approved"]


async def test_broken_the_digest_is_not_compared(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With neither check an approval of other evidence is as good as one of this."""
    await harness.decide(await harness.runs.read(driver.run_id))
    await thaw(harness, driver)
    without_check_of_the_step(monkeypatch)
    without_check_of_the_activity(monkeypatch)

    wrong = f"version {harness.old} is retired, but other evidence is in force than was approved"
    assert await retire(harness, driver) == [wrong]


async def test_broken_the_requester_may_approve(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody compares approver and requester, one person is enough, and the check says so."""
    monkeypatch.setattr(decision, "same_person", lambda *_: False)
    await harness.decide(await harness.runs.read(driver.run_id), approver=REQUESTER)

    assert await retire(harness, driver) == [f"version {harness.old} is retired, but the requester approved"]
