"""Migrations as lists of activities, in the order in which the workflow runs them, without the workflow."""

from datetime import UTC, datetime
from typing import Any

from keyturn.contracts.base import Policy, RunInput
from keyturn.contracts.migrations import (
    DisableAgainInput,
    EnableTemporarilyInput,
    Restore,
    RestoreInput,
    Rollback,
    Work,
)
from keyturn.contracts.passes import CensusInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import DecisionInput, ReinstateInput
from keyturn.migrations.start import start_migration
from keyturn.runs.records import MigrationRecord, RotationRecord
from tests.invariants.harness import REQUESTER, ActivityHarness
from tests.invariants.rotation_driver import RotationDriver
from tests.invariants.steps import Steps
from tests.keyturn.runs.lifecycle import workflows


async def begun(harness: ActivityHarness, work: Work) -> MigrationRecord:
    """Request a migration."""
    return await start_migration(
        harness.resources.migrations,
        work,
        keyring=harness.keyring,
        requested_by=REQUESTER,
        reason="",
        dry_run=False,
        policy=Policy(),
        workflows=workflows(),
        now=datetime.now(UTC),
    )


async def restore_wanted(harness: ActivityHarness, rows: int = 3) -> MigrationRecord:
    """Leave rows under a version that is disabled, as they come back from a backup, and request a restore."""
    await harness.local_keyring.add_many(rows, harness.old)
    await harness.local_keyring.mek.create()
    await harness.local_keyring.mek.change(harness.old, enabled=False)
    return await begun(harness, Restore())


class RestoreDriver(Steps):
    """Plays a restore."""

    digest = ""

    async def to_enabled(self) -> None:
        """Look, have it approved, and enable what was approved."""
        await self.advance(State.RUNNING)
        look = RestoreInput(run=self.ref, step=self.step, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        found = await self.act("freeze_restore", look)
        self.digest, self.target = found["evidenceDigest"], found["targetVersion"]
        await self.advance(State.AWAITING_APPROVAL)
        await self.harness.decide(await self.harness.resources.migrations.read(self.run_id))
        await self.act("read_decision", DecisionInput(run=self.ref, evidence_digest=self.digest))
        await self.advance(State.RUNNING)
        await self.act("enable_temporarily", EnableTemporarilyInput(run=self.ref, evidence_digest=self.digest))

    async def to_end(self) -> dict[str, Any]:
        """Move the rows, prove them, and disable again what no row names; returns what became of the versions."""
        await self.work("rewrap_chosen")  # of which the run that lives changes nothing, if one died after the last row
        census = CensusInput(run=self.ref, target_version=self.target, session_tokens=self.tokens)
        counted = await self.act("take_census", census)
        assert counted["onTarget"] == counted["total"] > 0
        await self.work("prove")
        returned = await self.act("disable_again", DisableAgainInput(run=self.ref, session_tokens=self.tokens))
        await self.advance(State.COMPLETED)
        return returned


async def given_up(harness: ActivityHarness, rows: int = 3) -> Rollback:
    """Play a rotation that has moved its rows and is ended then, and return the work of rolling it back."""
    await harness.local_keyring.add_many(rows, harness.old)
    driver = RotationDriver(harness, await harness.start())
    await driver.to_new_version()
    await driver.to_frozen()
    await driver.advance(State.ABORTED)
    return Rollback(rotation=driver.ref, new_version=driver.target)


async def adopting(harness: ActivityHarness, rotations: int = 2, rows: int = 2) -> RotationRecord:
    """Play so many rotations, each of which adopts the one before, moves so many rows more and is ended then."""
    for _ in range(rotations):
        await given_up(harness, rows)
    newest, *_ = await harness.runs.newest(harness.keyring, limit=1)
    return newest


async def roll_back(driver: Steps, work: Rollback) -> None:
    """Play a rollback."""
    driver.target = work.new_version
    await driver.advance(State.RUNNING)
    census = CensusInput(run=driver.ref, target_version=work.new_version, rewrapped_by=work.rotation.run_id)
    await driver.act("take_census", census)
    assert await driver.act("count_changed_since", RunInput(run=driver.ref)) == {"rows": 0}
    look = RestoreInput(run=driver.ref, step=driver.step, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    assert (await driver.act("freeze_rollback", look))["evidenceDigest"] is None  # nothing is retired
    await driver.act("reinstate_versions", ReinstateInput(run=driver.ref, rotation=work.rotation, reason="rolled back"))
    assert await driver.work("roll_back")
    assert (await driver.act("take_census", census))["rewrapped"] == 0
    await driver.advance(State.COMPLETED)
