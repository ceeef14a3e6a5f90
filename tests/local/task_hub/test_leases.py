"""Work that is with a worker when it goes away, or when it answers twice or too late."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb

from tests.local.services import REPOSITORY
from tests.local.task_hub.hand_worker import HandWorker, done, first_of, kinds
from tests.local.task_hub.hub_process import HubProcess

StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(hub: HubProcess, effects: Path) -> Iterator[StartWorker]:
    """Start real SDK workers as processes; kill those that are left."""
    started = []

    def start(blocks: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.local.task_hub.sdk_worker", hub.address, str(effects), blocks]
        started.append(subprocess.Popen(command, cwd=REPOSITORY))  # noqa: S603 - the command line is our own
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def _wait_for(effects: Path, what: str) -> None:
    deadline = time.monotonic() + 60
    while not (effects.exists() and what in effects.read_text()):
        assert time.monotonic() < deadline, f"no {what} within 60 s"
        time.sleep(0.02)


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("blocks", ["step", "turn"])
def test_work_of_a_killed_worker_is_done_by_the_next(
    client: TaskHubGrpcClient, effects: Path, start_worker: StartWorker, blocks: str
) -> None:
    """An activity or a turn that was in flight when its worker was killed runs on the next worker."""
    first = start_worker(blocks=blocks)
    instance_id = client.schedule_new_orchestration("steps", input=1)
    _wait_for(effects, f"{blocks} {first.pid}")
    _kill(first)
    second = start_worker()

    state = client.wait_for_orchestration_completion(instance_id, timeout=60)

    assert state is not None
    assert (state.runtime_status, state.serialized_output) == (OrchestrationStatus.COMPLETED, "2")
    assert f"{blocks} {second.pid}" in effects.read_text()


def test_entity_operations_of_a_killed_worker_are_done_by_the_next(
    client: TaskHubGrpcClient, effects: Path, start_worker: StartWorker
) -> None:
    """A batch of entity operations that was in flight when its worker was killed changes the state once."""
    entity = EntityInstanceId("counter", "killed")
    first = start_worker(blocks="operation")
    client.signal_entity(entity, "add")
    _wait_for(effects, f"operation {first.pid}")
    _kill(first)
    start_worker()

    deadline = time.monotonic() + 60
    while (found := client.get_entity(entity)) is None or not found.get_state():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert found.get_state(int) == 1


def test_late_completion_of_a_worker_that_went_away_is_ignored(hub: HubProcess) -> None:
    """A turn's result under the token of an earlier hand-out does not count; that of the last hand-out does."""
    with HandWorker(hub.address) as gone:
        instance_id = gone.start()
        stale = gone.take()
    with HandWorker(hub.address, name=gone.name) as worker:
        fresh = worker.take()
        worker.finish_turn(stale, done('"from the dead"'))
        worker.finish_turn(fresh, done('"from the living"'))

    assert hub.history(instance_id)["output"] == '"from the living"'


def test_activity_result_counts_once_and_only_from_the_last_hand_out(hub: HubProcess) -> None:
    """Neither a dead worker's late result nor a second one from the living worker reaches the orchestration."""
    with HandWorker(hub.address) as gone:
        instance_id = gone.start()
        gone.finish_turn(gone.take(), gone.activity(1))
        stale = gone.take()
    with HandWorker(hub.address, name=gone.name) as worker:
        fresh = worker.take()
        worker.finish_activity(stale, "6")
        worker.finish_activity(fresh, "7")
        worker.finish_activity(fresh, "8")
        worker.finish_turn(worker.take(), done())

    events = hub.history(instance_id)["generations"][0]["events"]
    assert [event["content"]["result"] for event in events if event["kind"] == "taskCompleted"] == ["7"]


def test_abandoned_work_is_handed_out_again(hub: HubProcess) -> None:
    """A turn and an activity that their worker gives back arrive again, under new tokens."""
    with HandWorker(hub.address) as worker:
        worker.start()
        turn = worker.take()
        worker.abandon(turn)
        turn_again = worker.take()
        worker.finish_turn(turn_again, worker.activity(1))
        step = worker.take()
        worker.abandon(step)
        step_again = worker.take()
        worker.finish_activity(step_again, "7")
        worker.finish_turn(worker.take(), done())

    assert step.activityRequest == step_again.activityRequest
    assert turn.completionToken != turn_again.completionToken
    assert step.completionToken != step_again.completionToken


def test_worker_is_given_no_more_than_it_takes_at_once(hub: HubProcess) -> None:
    """The limits of a stream bound what it holds; a completion makes room for the next item."""
    with HandWorker(hub.address, activities=2) as worker:
        worker.start()
        worker.finish_turn(worker.take(), *[worker.activity(number) for number in range(1, 5)])
        held = [worker.take(), worker.take()]
        with HandWorker(hub.address, name=worker.name) as other:
            rest = [other.take(), other.take()]
            idle = worker.idle and other.idle
            for item in rest:
                other.finish_activity(item, "0")
        worker.finish_turn(worker.take(), worker.activity(5))
        worker.finish_activity(held[0], "0")
        fifth = worker.take()
        if fifth.HasField("orchestratorRequest"):  # the turn for the result may come before the activity
            worker.finish_turn(fifth)
            fifth = worker.take()
        worker.finish_activity(fifth, "0")
        worker.finish_turn(worker.take(), done())

    assert idle
    assert fifth.activityRequest.taskId == 5


def test_failure_without_a_message_is_a_failure(hub: HubProcess) -> None:
    """An activity that raises an exception without a text fails its task."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), worker.activity(1))
        step = worker.take()
        failure = pb.TaskFailureDetails(errorType="ValueError")
        worker.stub.CompleteActivityTask(
            pb.ActivityResponse(
                instanceId=instance_id, taskId=1, failureDetails=failure, completionToken=step.completionToken
            )
        )
        turn = worker.take()
        worker.finish_turn(turn, done())

    assert kinds(turn.orchestratorRequest.newEvents) == ["taskFailed"]


def test_a_worker_that_is_given_up_lives_on_and_its_answer_is_stale(hub: HubProcess) -> None:
    """Its activity goes to another worker, not back to itself, and the other one's result is what counts."""
    with HandWorker(hub.address, activities=1) as frozen:
        instance_id = frozen.start()
        frozen.finish_turn(frozen.take(), frozen.activity(1))
        stale = frozen.take()
        with HandWorker(hub.address, name=frozen.name) as other:
            count = hub.give_up(frozen.name)
            fresh = other.take()
            idle = frozen.idle
            frozen.finish_activity(stale, "6")
            other.finish_activity(fresh, "7")
            turns = first_of(frozen, other)
            turns.finish_turn(turns.take(), done())

    events = hub.history(instance_id)["generations"][0]["events"]
    assert (count, idle) == (1, True)
    assert stale.activityRequest == fresh.activityRequest
    assert [event["content"]["result"] for event in events if event["kind"] == "taskCompleted"] == ["7"]


def test_the_only_worker_that_is_given_up_gets_its_work_again(hub: HubProcess) -> None:
    """Where there is no other worker, the activity does not wait for one."""
    with HandWorker(hub.address) as worker:
        worker.start()
        worker.finish_turn(worker.take(), worker.activity(1))
        first = worker.take()
        count = hub.give_up(worker.name)
        again = worker.take()
        worker.finish_activity(again, "7")
        worker.finish_turn(worker.take(), done())

    assert count == 1
    assert first.completionToken != again.completionToken
