"""Migrations as lists of activities, in the order in which the workflow runs them, without the workflow."""

from datetime import UTC, datetime
from typing import Any

from keyturn.contracts import (
    CensusInput,
    DecisionInput,
    LendInput,
    Policy,
    ReinstateInput,
    Restore,
    RestoreInput,
    ReturnInput,
    Rollback,
    RotationRef,
    Work,
)
from keyturn.migrations.record import MigrationRecord
from keyturn.migrations.start import start_migration
from keyturn.rotation.states import State
from tests.invariants.scene import REQUESTER, Scene
from tests.invariants.script import Script
from tests.invariants.steps import Steps
from tests.keyturn.rotation.runs import workflows


async def begun(scene: Scene, work: Work) -> MigrationRecord:
    """Request a migration."""
    return await start_migration(
        scene.resources.migrations,
        work,
        keyring=scene.keyring,
        requested_by=REQUESTER,
        reason="",
        dry_run=False,
        policy=Policy(),
        workflows=workflows(),
        now=datetime.now(UTC),
    )


async def restore_wanted(scene: Scene, rows: int = 3) -> MigrationRecord:
    """Leave rows under a version that is disabled, as they come back from a backup, and request a restore."""
    await scene.world.add_many(rows, scene.old)
    await scene.world.mek.create()
    await scene.world.mek.change(scene.old, enabled=False)
    return await begun(scene, Restore())


class RestoreScript(Steps):
    """Plays a restore."""

    digest = ""

    async def to_lent(self) -> None:
        """Look, have it approved, and enable what was approved."""
        await self.advance(State.RUNNING)
        look = RestoreInput(**self.ref, step=self.step, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        found = await self.act("freeze_restore", look)
        self.digest, self.target = found["evidenceDigest"], found["targetVersion"]
        await self.advance(State.AWAITING_APPROVAL)
        await self.scene.decide(await self.scene.resources.migrations.read(self.rotation_id))
        await self.act("read_decision", DecisionInput(**self.ref, evidence_digest=self.digest))
        await self.advance(State.RUNNING)
        await self.act("lend_versions", LendInput(**self.ref, evidence_digest=self.digest))

    async def to_end(self) -> dict[str, Any]:
        """Move the rows, prove them, and disable again what no row names; returns what became of the versions."""
        await self.work("rewrap_chosen")  # of which the run that lives changes nothing, if one died after the last row
        census = CensusInput(**self.ref, target_version=self.target, session_tokens=self.tokens)
        counted = await self.act("take_census", census)
        assert counted["onTarget"] == counted["total"] > 0
        await self.work("prove")
        returned = await self.act("return_versions", ReturnInput(**self.ref, session_tokens=self.tokens))
        await self.advance(State.COMPLETED)
        return returned


async def given_up(scene: Scene, rows: int = 3) -> Rollback:
    """Play a rotation that has moved its rows and is ended then, and return the work of rolling it back."""
    await scene.world.add_many(rows, scene.old)
    script = Script(scene, await scene.start())
    await script.to_new_version()
    await script.to_frozen()
    await script.advance(State.ABORTED)
    return Rollback(rotation=RotationRef(**script.ref), new_version=script.target)


async def roll_back(script: Steps, work: Rollback) -> None:
    """Play a rollback."""
    script.target = work.new_version
    await script.advance(State.RUNNING)
    await script.act("reinstate_versions", ReinstateInput(**dict(work.rotation), reason="rolled back"))
    assert await script.work("roll_back")
    rotation_id = work.rotation.rotation_id
    census = CensusInput(**script.ref, target_version=work.new_version, rewrapped_by=rotation_id)
    assert (await script.act("take_census", census))["rewrapped"] == 0
    await script.advance(State.COMPLETED)
