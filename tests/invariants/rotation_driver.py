"""One rotation as a list of activities, in the order in which the workflow runs them, without the workflow."""

from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.contracts.base import RunInput
from keyturn.contracts.passes import CensusInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import (
    CommandInput,
    CreateVersionInput,
    DecisionInput,
    FailureInput,
    FreezeInput,
    NotifyInput,
    ReinstateInput,
    RetireInput,
)
from keyturn.runs.records import RotationRecord
from tests.invariants.checks.versions import not_one_new_version
from tests.invariants.harness import ActivityHarness
from tests.invariants.steps import Act, Steps


class RotationDriver(Steps):
    """A rotation, step by step."""

    def __init__(self, harness: ActivityHarness, record: RotationRecord, act: Act | None = None) -> None:
        super().__init__(harness, record, act)
        self.census: dict[str, Any] = {}
        self.digest = ""

    def creation(self) -> CreateVersionInput:
        """Return the input of create_version, whose policy the record decides on."""
        return CreateVersionInput(run=self.ref, key_size=2048, creation_settle=timedelta(0))

    async def check(self) -> None:
        """Run the pre-flight, which is for a rotation that may begin."""
        assert await self.act("preflight", RunInput(run=self.ref)) == {"passed": True, "failedChecks": []}
        await self.act("notify", NotifyInput(run=self.ref, key="1.1:started", event="started"))

    async def to_new_version(self) -> None:
        """Enter the rotation, and create the version."""
        await self.advance(State.PREFLIGHT)
        await self.advance(State.CREATING_VERSION)
        self.target = (await self.act("create_version", self.creation()))["version"]

    async def to_frozen(self) -> None:
        """Sweep, prove, verify, freeze, and ask."""
        await self.advance(State.SWEEPING)
        await self.work("rewrap")
        request = CensusInput(run=self.ref, target_version=self.target, session_tokens=self.tokens)
        self.census = await self.act("take_census", request)
        await self.advance(State.SOAKING)
        await self.work("prove")
        await self.act("verify", RunInput(run=self.ref))
        self.digest = (await self.act("freeze_evidence", self.freezing()))["evidenceDigest"]
        await self.advance(State.AWAITING_APPROVAL)

    def freezing(self) -> FreezeInput:
        """Return the input of freeze_evidence."""
        return FreezeInput(
            run=self.ref,
            target_version=self.target,
            census=self.census,
            stale_writers=0,
            last_stale_write=None,
            expires_at=datetime(2100, 1, 1, tzinfo=UTC),
        )

    async def to_retiring(self) -> None:
        """Have the evidence approved, and enter the state in which versions may be disabled."""
        await self.harness.decide(await self.harness.runs.read(self.run_id))
        await self.act("read_decision", DecisionInput(run=self.ref, evidence_digest=self.digest))
        await self.act("read_command", CommandInput(run=self.ref, seen=0))
        await self.advance(State.RETIRING)

    def retirement(self) -> RetireInput:
        """Return the input of retire_versions."""
        return RetireInput(
            run=self.ref,
            target_version=self.target,
            evidence_digest=self.digest,
            session_tokens=self.tokens,
            step=self.step,
        )

    async def to_end(self) -> None:
        """Retire, reinstate and fail: every activity that is left."""
        await self.act("retire_versions", self.retirement())
        await self.advance(State.WATCHING)
        await self.act("reinstate_versions", ReinstateInput(run=self.ref, reason="a canary failed", step=self.step))
        failure = FailureInput(
            run=self.ref, step=self.step + 1, error_type="InvariantError", message="made up", retire_attempted=True
        )
        await self.act("record_failure", failure)


async def begun_with(harness: ActivityHarness, **policy: Any) -> RotationDriver:
    """Begin a rotation of a few rows under the policy."""
    await harness.local_keyring.add_many(2, harness.old)
    return RotationDriver(harness, await harness.start(**policy))


async def ready_to_retire(harness: ActivityHarness, rows: int = 3) -> RotationDriver:
    """Play a rotation of so many rows up to the moment before its old version is disabled."""
    await harness.local_keyring.add_many(rows, harness.old)
    # So long ago that what an earlier run asked of the vault has arrived.
    driver = RotationDriver(harness, await harness.start(ago=2))
    await driver.to_new_version()
    await driver.to_frozen()
    await driver.to_retiring()
    return driver


async def not_one_version(harness: ActivityHarness, driver: RotationDriver) -> list[str]:
    """Ask the vault which versions the rotation has made."""
    return not_one_new_version({harness.old}, await harness.vault_versions(), driver.run_id)


async def blind(*_: Any, **_more: Any) -> None:
    """Look for no version, and write none down."""


async def to_completed(driver: RotationDriver) -> None:
    """Sweep, have it approved, retire, and end."""
    await driver.to_frozen()
    await driver.to_retiring()
    await driver.act("retire_versions", driver.retirement())
    await driver.advance(State.WATCHING)
    await driver.advance(State.COMPLETED)
