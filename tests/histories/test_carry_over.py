"""Runs that are in flight when this code is deployed: each goes on, or is carried over, and comes to its end.

What a release has left is put into the local services: record, lease and audit chain, versions with their tags, rows,
and the histories in the task hub, with the activities and timers that were open. Then this code's worker takes over.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from keyturn.contracts.states import TERMINAL, State
from keyturn.rotation.start import Workflows, resume_orphan
from keyturn.runs.commands import record_command
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord
from keyturn.runs.transitions import WORKFLOW_LOST
from tests.histories.loading import LoadedHub, load
from tests.histories.recording import IN_FLIGHT, generations, in_flight_releases, read
from tests.histories.replay import replay
from tests.invariants.checks.versions import unapproved
from tests.invariants.engine import Engine
from tests.invariants.harness import ActivityHarness

SECONDS = 60
POLL_SECONDS = 0.1
OPERATOR = "ops@example.com"
_ENDED = (OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED)

RESTORE = "restore"
# One of each release for every change, the others for the night.
RECORDED = [
    pytest.param(release, state, marks=[] if state == State.AWAITING_APPROVAL else pytest.mark.long)
    for release in in_flight_releases()
    for state in read(release, IN_FLIGHT)
    if state != RESTORE
]
RESTORES = [release for release in in_flight_releases() if RESTORE in read(release, IN_FLIGHT)]


class Deployment:
    """This code at work on what was loaded, with the people and the schedule around it."""

    def __init__(self, harness: ActivityHarness, run_id: str) -> None:
        self._harness, self._run_id, self._client = harness, run_id, harness.running.client
        self.carried_over = 0
        self.disabled: set[str] = set()  # versions, at the time when an approval was asked for

    async def is_alive(self, instance_id: str) -> bool:
        """Tell whether there is a workflow."""
        state = await asyncio.to_thread(self._client.get_orchestration_state, instance_id)
        return state is not None and state.runtime_status not in _ENDED

    async def _start(self, record: RunRecord) -> None:
        self.carried_over += 1
        await asyncio.to_thread(
            self._client.schedule_new_orchestration,
            record.kind,
            input=record.to_input().to_payload(),
            instance_id=record.instance_id,
            reuse_id_policy=pb.OrchestrationIdReusePolicy(replaceableStatus=[status.value for status in _ENDED]),
        )

    async def end(self) -> RunRecord:
        """Do what people and the schedule do until the run has ended, and return its record."""
        async with asyncio.timeout(SECONDS):
            while (record := await self._harness.resources.every_run.read(self._run_id)).state not in TERMINAL:
                await self._act(record)
                await asyncio.sleep(POLL_SECONDS)
        return record

    async def _act(self, record: RunRecord) -> None:
        if not await self.is_alive(record.instance_id):  # the schedule's next tick
            workflows = Workflows(is_alive=self.is_alive, start=self._start)
            await resume_orphan(self._harness.runs.documents, record.keyring, workflows, datetime.now(UTC))
        elif record.state is State.AWAITING_APPROVAL and record.decision is None:
            found = await self._harness.vault_versions()
            self.disabled |= {name for name, version in found.items() if not version.enabled}
            await self._harness.decide(record)
            await self._harness.wake(record)
        elif record.state is State.NEEDS_ATTENTION and not _is_asked(record):
            runs = self._harness.resources.every_run
            await record_command(runs, record.run_id, "retry", by=OPERATOR, now=datetime.now(UTC))
            await self._harness.wake(record, "command")


def _is_asked(record: RunRecord) -> bool:
    asked = record.commands and (record.commands[-1].command, record.commands[-1].step) == ("retry", record.step)
    return bool(asked) or record.history[-1].detail == WORKFLOW_LOST


@asynccontextmanager
async def deployed(harness: ActivityHarness, hub: LoadedHub, run_id: str) -> AsyncIterator[Deployment]:
    """Let this code take over."""
    engine = harness.engine = Engine(f"127.0.0.1:{hub._port}", asyncio.get_running_loop())
    engine.start()
    try:
        yield Deployment(harness, run_id)
    finally:
        await asyncio.to_thread(engine.stop)


def expected(release: str, state: str) -> tuple[State, int]:
    """Return where the run ends, and how often it is carried over, as its workflows fit this code.

    A sub-workflow that does not fit is a failure to the rotation: it waits for an operator, or reinstates.
    """
    found = [one for one in generations(release) if one.file == f"{IN_FLIGHT}/{state}"]
    broken = {one.name for one in found if replay(one)}
    if broken & {"rotation", "migration"}:
        return State.COMPLETED, 1
    return (State.REINSTATED if "watch" in broken else State.COMPLETED), 0


@pytest.mark.parametrize(("release", "state"), RECORDED)
async def test_a_run_in_flight_comes_to_its_end(
    harness: ActivityHarness, loaded_hub: LoadedHub, release: str, state: str
) -> None:
    """With the version that it had made and no other; no row is lost, and nothing is retired without approval.

    Where its workflow of then does not fit the code, it is carried over, and only there.
    """
    run_id = await load(read(release, IN_FLIGHT)[state], harness, loaded_hub)
    before, versions = await harness.runs.read(run_id), await harness.vault_versions()

    async with deployed(harness, loaded_hub, run_id) as deployment:
        record = await deployment.end()

    assert isinstance(record, RotationRecord)
    after = await harness.vault_versions()
    retired = {name: one for name, one in after.items() if name in record.retired and name not in record.reinstated}
    assert before.state == state
    assert (record.state, deployment.carried_over) == expected(release, state), record.history[-3:]
    assert record.fencing_token == before.fencing_token + deployment.carried_over
    assert deployment.disabled.isdisjoint(before.retired)
    assert set(after) == set(versions)
    assert bool(retired) is (record.state is State.COMPLETED)
    assert unapproved(retired, {run_id: record}) == []
    assert await harness.needed_but_disabled() == []
    assert await harness.changed_deks() == []


@pytest.mark.parametrize("release", RESTORES)
async def test_a_restore_in_flight_comes_to_its_end(
    harness: ActivityHarness, loaded_hub: LoadedHub, release: str
) -> None:
    """Every row is on the current version, and the versions are enabled and disabled as they were."""
    run_id = await load(read(release, IN_FLIGHT)[RESTORE], harness, loaded_hub)
    versions = await harness.vault_versions()

    async with deployed(harness, loaded_hub, run_id) as deployment:
        record = await deployment.end()

    assert (record.state, deployment.carried_over) == expected(release, RESTORE), record.history[-3:]
    after = await harness.vault_versions()
    assert {name: one.enabled for name, one in after.items()} == {name: one.enabled for name, one in versions.items()}
    assert await harness.needed_but_disabled() == []
    assert await harness.changed_deks() == []
