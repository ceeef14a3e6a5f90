"""One rotation as a scenario plays it: what is prepared, what people do, how it must end, and what is true then."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.callers import POLL_SECONDS, Answer
from tests.end_to_end.app_harness import AppHarness

SECONDS = 60.0

# The states of a rotation in which nothing happens but what is planned.
WHOLE = (
    "requested preflight creating_version sweeping soaking awaiting_approval retiring watching completed"  # in order
)


class ScenarioRun:
    """A running scenario; ``kept`` is what one part of it leaves for a later one."""

    def __init__(self, app: AppHarness) -> None:
        self.app = app
        self.callers = app.callers
        self.run_id = ""
        self.kept: dict[str, Any] = {}
        self.old_version = ""  # the newest one before the rotation
        self.enabled_before: set[str] = set()

    async def reaches(self, *states: str) -> dict[str, Any]:
        """Wait until the rotation is in one of the states, and return its status."""
        return await self.callers.wait_for(self.run_id, *states, seconds=SECONDS)

    async def status(self) -> dict[str, Any]:
        """Return the rotation's status."""
        return await self.callers.status(self.run_id)

    async def record(self) -> dict[str, Any]:
        """Return the rotation's record, from its report."""
        record: dict[str, Any] = (await self.callers.report(self.run_id))["record"]
        return record

    async def evidence(self) -> dict[str, Any]:
        """Return the evidence in force."""
        evidence: dict[str, Any] = (await self.record())["evidence"]
        return evidence

    async def check(self, name: str) -> dict[str, Any]:
        """Return one check of the pre-flight."""
        checks = (await self.record())["preflight"]["checks"]
        return next(check for check in checks if check["name"] == name)

    async def decide(self, decision: str = "approve", **how: Any) -> Answer:
        """Wait for evidence and decide on it."""
        waiting = await self.reaches("awaiting_approval")
        return await self.callers.decide(self.run_id, waiting["evidenceDigest"], decision=decision, **how)

    async def hears(self, event: str) -> None:
        """Wait until people are told the event: it comes after the state, and an alert is set on it."""

        async def notified() -> bool:
            return self.app.said(self.run_id, event)

        await self.until(notified)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the condition holds."""
        deadline = time.monotonic() + SECONDS
        while not await condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            await asyncio.sleep(POLL_SECONDS)


type Act = Callable[[ScenarioRun], Awaitable[None]]


async def nothing(_scenario_run: ScenarioRun) -> None:
    """Do nothing."""


async def approve(scenario_run: ScenarioRun) -> None:
    """Approve the evidence."""
    assert (await scenario_run.decide()).status == 200


async def reject(scenario_run: ScenarioRun) -> None:
    """Reject the evidence."""
    assert (await scenario_run.decide("reject")).status == 200


async def abort(scenario_run: ScenarioRun) -> None:
    """Abort the rotation where it stands."""
    assert (await scenario_run.callers.command(scenario_run.run_id, "abort")).status == 202


async def retry(scenario_run: ScenarioRun) -> None:
    """Tell the rotation that needs attention to try again."""
    assert (await scenario_run.callers.command(scenario_run.run_id, "retry")).status == 202


def after(state: str, act: Act) -> Act:
    """Return an act that waits for the state first."""

    async def waited(scenario_run: ScenarioRun) -> None:
        await scenario_run.reaches(state)
        await act(scenario_run)

    return waited


def then(*acts: Act) -> Act:
    """Return the acts one after the other."""

    async def all_of_them(scenario_run: ScenarioRun) -> None:
        for act in acts:
            await act(scenario_run)

    return all_of_them


def armed(service: str, **rule: Any) -> Act:
    """Return an act that arms a fault."""

    async def arm(scenario_run: ScenarioRun) -> None:
        scenario_run.app.arm(service, **rule)

    return arm


def held(service: str, operation: str, **rule: Any) -> Act:
    """Return an act from which on the operation waits, whoever asks for it, until it is released."""
    return armed(service, operation=operation, kind="hold", **{"count": None, **rule})


def released(service: str) -> Act:
    """Return an act that lets go on what is held in the service."""

    async def release(scenario_run: ScenarioRun) -> None:
        scenario_run.app.release(service)

    return release


async def disarmed(scenario_run: ScenarioRun) -> None:
    """Disarm every fault."""
    scenario_run.app.clear_faults()


async def started(scenario_run: ScenarioRun, **body: Any) -> None:
    """Request the rotation over HTTP."""
    scenario_run.run_id = await scenario_run.app.start(**body)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens around one rotation, and what must come of it; ``path`` are the states that it goes through."""

    settings: str = "quick"  # a name of app_settings.SETTINGS
    prepared: Act = nothing
    request: Mapping[str, Any] = field(default_factory=dict)
    start: Act | None = None  # where a plain request is not what starts it
    callers: Act = approve
    path: str = WHOLE
    facts: tuple[Act, ...] = ()
    tidied: Act = nothing  # also when something failed

    @property
    def end(self) -> str:
        """The state that the rotation must end in."""
        return self.path.split()[-1]
