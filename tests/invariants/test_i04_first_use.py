"""I4: a new version comes into use once a backup has it, by the run that made it, and never against a later run."""

import asyncio
import contextlib
from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.errors import FencedError, NotSettledError, UnavailableError
from keyturn.key_vault import versions
from keyturn.key_vault.backups import KeyBackups
from keyturn.key_vault.versions import RETIRED_BY_TAG
from keyturn.runs.record_parts import Waiver
from tests.invariants.harness import SECONDS, ActivityHarness
from tests.invariants.rotation_driver import RotationDriver, begun_with, blind, not_one_version, to_completed


def unsafe(harness: ActivityHarness) -> list[str]:
    """Read in the vault's log, oldest first, what was enabled before a backup had it."""
    seen = [
        entry["operation"] for entry in harness.operations() if entry["operation"] in {"create", "backup", "update"}
    ]
    orders = "".join(name[0] for name in seen)
    return [] if "u" not in orders or "cb" in orders.partition("u")[0] else ["a version was enabled without a backup"]


async def test_a_version_is_backed_up_before_it_is_enabled(harness: ActivityHarness, driver: RotationDriver) -> None:
    """So there is no moment at which a row could name a version that no backup brings back."""
    await driver.to_new_version()

    backup = await harness.resources.keyring(harness.keyring).key_backups.find(driver.run_id)

    assert unsafe(harness) == []
    assert backup is not None
    assert (backup.phase, backup.new_version, backup.versions) == ("after", driver.target, 2)
    assert (await harness.vault_versions())[driver.target].enabled


async def test_broken_no_backup_is_taken(
    harness: ActivityHarness, driver: RotationDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that enables the version all the same is found in the vault's log."""
    monkeypatch.setattr(KeyBackups, "take", blind)

    await driver.to_new_version()

    assert unsafe(harness) == ["a version was enabled without a backup"]


@pytest.mark.parametrize("waived", [False, True])
async def test_without_a_backup_the_version_does_not_come_into_use(harness: ActivityHarness, *, waived: bool) -> None:
    """The step fails before any row moves, and another try goes on from there; a waiver answers for it."""
    driver = await begun_with(harness)
    if waived:
        waiver = Waiver(check="key_backup", by="dana", why="a copy is in the safe")
        await harness.runs.update(
            driver.run_id,
            lambda record: record.changed(options=record.options.model_copy(update={"waivers": [waiver]})),
        )
    await driver.advance(State.PREFLIGHT)
    await driver.advance(State.CREATING_VERSION)
    harness.local_keyring.mek.fault(operation="backup", kind="throttle", count=None)

    failed = None
    try:
        await harness.act("create_version", driver.creation())
    except UnavailableError as error:
        failed = error
    ((new, made),) = [found for found in (await harness.vault_versions()).items() if found[0] != harness.old]

    assert ((failed is None), made.enabled) == (waived, waived)
    assert {row["mekVersion"] for row in await harness.rows()} == {harness.old}
    harness.local_keyring.mek.vault.control("DELETE", "faults")
    again = await harness.act("create_version", driver.creation())
    assert again["result"] == {"version": new}
    assert (await harness.vault_versions())[new].enabled
    assert await not_one_version(harness, driver) == []


async def once_settled(harness: ActivityHarness, driver: RotationDriver) -> dict[str, Any]:
    """Create the version as soon as no creation of an earlier rotation can take effect any more."""
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(NotSettledError):
                return await harness.act("create_version", driver.creation())
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("in_use", [False, True])
async def test_an_adopted_version_is_backed_up(
    harness: ActivityHarness, driver: RotationDriver, *, in_use: bool
) -> None:
    """The one that an earlier rotation made, whether that one had enabled it or could not back it up."""
    await driver.advance(State.PREFLIGHT)
    await driver.advance(State.CREATING_VERSION)
    if not in_use:
        harness.local_keyring.mek.fault(operation="backup", kind="throttle", count=None)
        with pytest.raises(UnavailableError):
            await harness.act("create_version", driver.creation())
    else:
        await harness.act("create_version", driver.creation())
    harness.local_keyring.mek.vault.control("DELETE", "faults")
    await driver.advance(State.ABORTED)
    ((new, _),) = [found for found in (await harness.vault_versions()).items() if found[0] != harness.old]
    later = RotationDriver(harness, await harness.start())

    await later.advance(State.PREFLIGHT)
    await later.check()
    await later.advance(State.CREATING_VERSION)
    answer = await once_settled(harness, later)
    backup = await harness.resources.keyring(harness.keyring).key_backups.find(later.run_id)

    assert answer["result"] == {"version": new}
    assert (await harness.vault_versions())[new].enabled
    assert backup is not None
    assert (backup.phase, backup.new_version) == ("after", new)


async def creating(harness: ActivityHarness) -> RotationDriver:
    """Play a rotation to where its version is made next."""
    driver = RotationDriver(harness, await harness.start(ago=2))
    await driver.advance(State.PREFLIGHT)
    await driver.advance(State.CREATING_VERSION)
    return driver


async def held(harness: ActivityHarness, driver: RotationDriver, operation: str) -> asyncio.Task[dict[str, Any]]:
    """Begin create_version, whose first request of this kind is on its way until the faults are cleared."""
    mek = harness.local_keyring.mek
    mek.fault(operation=operation, kind="hold")
    late = asyncio.create_task(harness.act("create_version", driver.creation()))
    async with asyncio.timeout(SECONDS):
        while not any(rule["fired"] for rule in mek.vault.control("GET", "faults")):  # noqa: ASYNC110 - another process's event
            await asyncio.sleep(0.02)
    return late


async def in_use(driver: RotationDriver) -> RotationDriver:
    """Let another copy of the activity make the version, or find it, and enable it."""
    driver.target = (await driver.act("create_version", driver.creation()))["version"]
    return driver


async def test_a_run_that_ended_puts_no_version_into_use(harness: ActivityHarness) -> None:
    """It was aborted while its backup was taken: writers go on under the version that they know."""
    await harness.local_keyring.add_many(2, harness.old)
    driver = await creating(harness)
    late = await held(harness, driver, "backup")
    await driver.advance(State.ABORTED)

    harness.local_keyring.mek.vault.control("DELETE", "faults")
    answer = await late

    assert answer["failure"]["errorType"] == FencedError.__name__
    ((_, made),) = [found for found in (await harness.vault_versions()).items() if found[0] != harness.old]
    assert not made.enabled
    assert (await harness.runs.read(driver.run_id)).target_version is None


async def test_an_enabling_that_comes_late_is_taken_back(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker froze; another one went on, and the next rotation has retired the version by the time it arrives."""
    monkeypatch.setattr(versions, "CHANGE_SECONDS", 600.0)
    await harness.local_keyring.add_many(2, harness.old)
    first = await creating(harness)
    late = await held(harness, first, "update")
    await to_completed(await in_use(first))
    second = await creating(harness)
    await to_completed(await in_use(second))
    assert not (await harness.vault_versions())[first.target].enabled

    harness.local_keyring.mek.vault.control("DELETE", "faults")
    answer = await late

    retired = (await harness.vault_versions())[first.target]
    assert answer["failure"]["errorType"] == FencedError.__name__
    assert (retired.enabled, retired.tags[RETIRED_BY_TAG]) == (False, second.run_id)
