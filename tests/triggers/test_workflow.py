"""How triggers reach the workflow on a real task hub: one workflow a record, woken by events."""

import asyncio
from collections.abc import Iterator
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask.task import OrchestrationContext
from durabletask.worker import TaskHubGrpcWorker

from keyturn.contracts.states import State
from keyturn.errors import UnavailableError
from keyturn.runs.lease import read_lease
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import lose
from tests.keyturn.runs.lifecycle import NOW, start_run, step_to
from tests.local.services import free_port
from tests.local.task_hub.hub_process import HubProcess
from tests.triggers.conftest import durable_client
from triggers import workflow
from triggers.workflow import ensure_started, is_alive, wake


def rotation(ctx: OrchestrationContext, payload: dict[str, Any]) -> Any:
    """Stand where the workflow stands: wait to be woken, and tell whose it was."""
    event = yield ctx.wait_for_external_event("decision")
    return [payload["run"]["rotationId"], event["rotationId"]]


@pytest.fixture(scope="module", autouse=True)
def worker(hub: HubProcess) -> Iterator[None]:
    """Run the workflow."""
    with TaskHubGrpcWorker(host_address=hub.address) as running:
        running.add_orchestrator(rotation)
        running.start()
        yield


async def finished(client: df.DurableFunctionsClient, record: RotationRecord) -> Any:
    """Wait for the workflow's end and return its result."""
    state = await client.wait_for_orchestration_completion(record.instance_id, timeout=60)
    assert state is not None
    return state.get_output(list)


async def test_a_started_workflow_lives_until_it_ends(runs: RotationStore, durable: df.DurableFunctionsClient) -> None:
    """A record's workflow runs under the keyring's own id, and ends when it is woken."""
    record = await start_run(runs)
    before = await is_alive(durable, record.instance_id)
    await ensure_started(durable, runs, record)
    during = await is_alive(durable, record.instance_id)

    await wake(durable, record, "decision")

    assert await finished(durable, record) == [record.run_id, record.run_id]
    assert [before, during, await is_alive(durable, record.instance_id)] == [False, True, False]


async def test_a_repeated_request_starts_no_second_workflow(
    runs: RotationStore, durable: df.DurableFunctionsClient
) -> None:
    """Eight times the same start, at once and after the workflow's end: it ran once."""
    record = await start_run(runs)
    await asyncio.gather(*(ensure_started(durable, runs, record) for _ in range(8)))
    await wake(durable, record, "decision")
    await finished(durable, record)

    await ensure_started(durable, runs, record)

    assert not await is_alive(durable, record.instance_id)
    assert State.REQUESTED is (await runs.read(record.run_id)).state


async def test_the_next_rotation_takes_the_place_of_one_that_ended(
    runs: RotationStore, durable: df.DurableFunctionsClient
) -> None:
    """The keyring's id is used again as soon as the workflow before has ended, be it a moment after its record."""
    first = await start_run(runs)
    await ensure_started(durable, runs, first)
    await lose(runs, first.run_id, "given up", NOW)
    second = await start_run(runs, first.keyring)

    starting = asyncio.create_task(ensure_started(durable, runs, second))
    await wake(durable, first, "decision")
    await starting
    await wake(durable, second, "decision")

    assert await finished(durable, second) == [second.run_id, second.run_id]


async def test_a_record_that_has_gone_on_is_not_started_again(
    runs: RotationStore, durable: df.DurableFunctionsClient
) -> None:
    """A replayed answer of a rotation that has begun, or ended, starts nothing."""
    record = await step_to(runs, await start_run(runs), State.PREFLIGHT)

    await ensure_started(durable, runs, record)

    assert not await is_alive(durable, record.instance_id)


async def test_no_workflow_to_wake_is_no_failure(
    runs: RotationStore, durable: df.DurableFunctionsClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The record holds what was decided, so a workflow that never was, or has ended, is logged and not an error."""
    record = await start_run(runs)
    await wake(durable, record, "decision")
    await ensure_started(durable, runs, record)
    await wake(durable, record, "decision")
    await finished(durable, record)
    await wake(durable, record, "decision")

    assert [logged.getMessage() for logged in caplog.records if logged.name == "triggers.workflow"] == [
        f"there is no workflow for {record.run_id}"
    ] * 2


async def test_a_workflow_that_never_gets_its_turn_fails_the_run_and_frees_the_keyring(
    runs: RotationStore, durable: df.DurableFunctionsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the workflow before does not end, the new run fails after a bounded wait, and a retry is possible."""
    monkeypatch.setattr(workflow, "WAIT_SECONDS", 0.01)
    first = await start_run(runs)
    await ensure_started(durable, runs, first)
    await lose(runs, first.run_id, "given up", NOW)
    second = await start_run(runs, first.keyring)

    with pytest.raises(UnavailableError):
        await ensure_started(durable, runs, second)
    failed, lease = await runs.read(second.run_id), await read_lease(runs, first.keyring)

    assert State.FAILED is failed.state
    assert failed.error is not None
    assert lease is not None
    assert (lease.holder, failed.error.message) == (None, "the workflow could not be started")


async def test_a_hub_that_is_away_is_said_to_be_unavailable(
    runs: RotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers: asking and waking say so, and a start fails its run."""
    monkeypatch.setattr(workflow, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(workflow, "ATTEMPTS", 2)
    record = await start_run(runs)
    away = durable_client(f"127.0.0.1:{free_port()}")
    try:
        with pytest.raises(UnavailableError):
            await is_alive(away, record.instance_id)
        with pytest.raises(UnavailableError):
            await wake(away, record, "decision")
        with pytest.raises(UnavailableError):
            await ensure_started(away, runs, record)
    finally:
        await away.close()

    assert State.FAILED is (await runs.read(record.run_id)).state
