"""One rotation as a list of activities, in the order in which the workflow runs them, without the workflow."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.contracts import (
    CensusInput,
    CommandInput,
    CreateVersionInput,
    DecisionInput,
    FailureInput,
    FreezeInput,
    NotifyInput,
    PageInput,
    Payload,
    ProgressInput,
    ReinstateInput,
    RetireInput,
    RotationRef,
    ScanInput,
    StepInput,
)
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.states import State
from tests.invariants.scene import Scene

Act = Callable[[str, Payload], Awaitable[dict[str, Any]]]
RATE = 1000.0


class Script:
    """Plays a rotation; ``act`` runs each activity, as often and as badly as a test likes."""

    def __init__(self, scene: Scene, record: RotationRecord, act: Act | None = None) -> None:
        self.scene = scene
        self.rotation_id = record.rotation_id
        self.ref = scene.ref(record)
        self.step = 0
        self.target = ""
        self.census: dict[str, Any] = {}
        self.digest = ""
        self.tokens: dict[str, str] = {}
        self._act = act or scene.act

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run an activity, which must not fail, and return its result."""
        envelope = await self._act(name, request)
        assert "failure" not in envelope, f"{name}: {envelope['failure']}"
        result: dict[str, Any] = envelope["result"]
        return result

    async def advance(self, target: State) -> None:
        """Change the state."""
        self.step += 1
        await self.act("advance", StepInput(**self.ref, step=self.step, target=target))

    def creation(self) -> CreateVersionInput:
        """Return the input of create_version."""
        return CreateVersionInput(**self.ref, key_size=2048, creation_settle=timedelta(seconds=2))

    async def check(self) -> None:
        """Run the pre-flight, which is for a rotation that may begin."""
        assert await self.act("preflight", RotationRef(**self.ref)) == {"passed": True, "failedChecks": []}
        await self.act("notify", NotifyInput(**self.ref, key="1.1:started", event="started"))

    async def to_new_version(self) -> None:
        """Enter the rotation, and create the version."""
        await self.advance(State.PREFLIGHT)
        await self.advance(State.CREATING_VERSION)
        self.target = (await self.act("create_version", self.creation()))["version"]

    async def pages(self, selection: str) -> list[PageInput]:
        """Scan the store once and return the pages that were found."""
        found = []
        for feed_range in (await self.act("list_ranges", RotationRef(**self.ref)))["ranges"]:
            cursor, drained = None, False
            while not drained:
                request = ScanInput(
                    **self.ref,
                    target_version=self.target,
                    selection=selection,
                    range=feed_range,
                    cursor=cursor,
                    page_rows=50,
                )
                scanned = await self.act("scan_page", request)
                cursor, drained = scanned["cursor"], scanned["drained"]
                if scanned["refs"]:
                    found.append(
                        PageInput(
                            **self.ref,
                            target_version=self.target,
                            refs=scanned["refs"],
                            operations_per_second=RATE,
                        )
                    )
        return found

    async def work(self, phase: str) -> None:
        """Rewrap or prove everything that a scan finds, and record the progress."""
        selection, activity = ("stale", "rewrap_page") if phase == "sweep" else ("rewrapped", "prove_page")
        tokens, totals, started = [self.tokens], {}, datetime.now(UTC)
        for page in await self.pages(selection):
            totals = await self.act(activity, page)
            tokens.append(totals.pop("sessionTokens"))
        progress = ProgressInput(
            **self.ref,
            phase=phase,
            pass_number=1,
            pass_started_at=started,
            wave=1,
            scanned=1,
            totals=totals,
            session_tokens=tokens,
        )
        self.tokens = (await self.act("record_progress", progress))["sessionTokens"]

    async def to_frozen(self) -> None:
        """Sweep, prove, verify, freeze, and ask."""
        await self.advance(State.SWEEPING)
        await self.work("sweep")
        request = CensusInput(**self.ref, target_version=self.target, session_tokens=self.tokens)
        self.census = await self.act("take_census", request)
        await self.advance(State.SOAKING)
        await self.work("proof")
        await self.act("verify", RotationRef(**self.ref))
        self.digest = (await self.act("freeze_evidence", self.freezing()))["evidenceDigest"]
        await self.advance(State.AWAITING_APPROVAL)

    def freezing(self) -> FreezeInput:
        """Return the input of freeze_evidence."""
        return FreezeInput(
            **self.ref,
            target_version=self.target,
            census=self.census,
            stale_writers=0,
            last_stale_write=None,
            expires_at=datetime(2100, 1, 1, tzinfo=UTC),
        )

    async def to_retiring(self) -> None:
        """Have the evidence approved, and enter the state in which versions may be disabled."""
        await self.scene.decide(await self.scene.runs.read(self.rotation_id))
        await self.act("read_decision", DecisionInput(**self.ref, evidence_digest=self.digest))
        await self.act("read_command", CommandInput(**self.ref, seen=0))
        await self.advance(State.RETIRING)

    def retirement(self) -> RetireInput:
        """Return the input of retire_versions."""
        return RetireInput(
            **self.ref, target_version=self.target, evidence_digest=self.digest, session_tokens=self.tokens
        )

    async def to_end(self) -> None:
        """Retire, reinstate and fail: every activity that is left."""
        await self.act("retire_versions", self.retirement())
        await self.advance(State.WATCHING)
        await self.act("reinstate_versions", ReinstateInput(**self.ref, reason="a canary failed"))
        failure = FailureInput(
            **self.ref, step=self.step + 1, error_type="InvariantError", message="made up", retire_attempted=True
        )
        await self.act("record_failure", failure)


async def ready_to_retire(scene: Scene, rows: int = 3) -> Script:
    """Play a rotation of so many rows up to the moment before its old version is disabled."""
    await scene.world.add_many(rows, scene.old)
    script = Script(scene, await scene.start())
    await script.to_new_version()
    await script.to_frozen()
    await script.to_retiring()
    return script
