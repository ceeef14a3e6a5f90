"""Results that arrive after the run that asked for them is over, sub-orchestrations, and the limit of a run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing import in_memory_backend
from durabletask.worker import TaskHubGrpcWorker

from local.task_hub.backend import TaskHub
from tests.local.services import free_port
from tests.local.task_hub.hand_worker import HandWorker, again, done, kinds, sub_orchestration, timer
from tests.local.task_hub.hub_process import HubProcess


def test_stale_activity_result_does_not_cross_continue_as_new(hub: HubProcess) -> None:
    """An activity of the first run gives nothing to the second, which uses its task id for another."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), worker.activity(1))
        stale = worker.take()
        worker.raise_event(instance_id)
        worker.finish_turn(worker.take(), again())
        worker.finish_turn(worker.take(), worker.activity(1))
        current = worker.take()
        worker.finish_activity(stale, '"stale"')
        worker.finish_activity(current, '"current"')
        turn = worker.take()
        worker.finish_turn(turn, done())

    arrived = turn.orchestratorRequest.newEvents
    assert kinds(arrived) == ["taskCompleted"]
    assert arrived[-1].taskCompleted.result.value == '"current"'


def test_stale_result_that_waits_for_delivery_does_not_cross_continue_as_new(hub: HubProcess) -> None:
    """A result that arrives during the last turn of a run is dropped; an event that arrives then is kept."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), worker.activity(1))
        step = worker.take()
        worker.raise_event(instance_id, "first")
        last_turn = worker.take()
        worker.finish_activity(step, '"stale"')
        worker.raise_event(instance_id, "second")
        worker.finish_turn(last_turn, again())
        turn = worker.take()
        worker.finish_turn(turn, done())

    assert kinds(turn.orchestratorRequest.newEvents) == ["executionStarted", "eventRaised"]


def test_stale_timer_does_not_cross_continue_as_new(hub: HubProcess) -> None:
    """The timer that fires in the second run is the second run's, although the first run's was due before."""
    now = datetime.now(UTC)
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), timer(1, now + timedelta(seconds=0.3)))
        worker.raise_event(instance_id)
        worker.finish_turn(worker.take(), again())
        worker.finish_turn(worker.take(), timer(1, now + timedelta(seconds=0.6)))
        turn = worker.take()
        worker.finish_turn(turn, done())

    fired = turn.orchestratorRequest.newEvents[-1].timerFired
    assert fired.fireAt.ToDatetime(tzinfo=UTC) == now + timedelta(seconds=0.6)


def test_stale_sub_orchestration_does_not_cross_continue_as_new(hub: HubProcess) -> None:
    """A sub-orchestration that ends after its parent continued as new gives the parent nothing."""
    with HandWorker(hub.address) as worker, HandWorker(hub.address) as child:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), sub_orchestration(1, child.name, f"{instance_id}:1"))
        sub_turn = child.take()
        worker.raise_event(instance_id)
        worker.finish_turn(worker.take(), again())
        worker.finish_turn(worker.take())
        child.finish_turn(sub_turn, done('"stale"'))
        worker.raise_event(instance_id)
        turn = worker.take()
        worker.finish_turn(turn, done())

    assert kinds(turn.orchestratorRequest.newEvents) == ["eventRaised"]


def test_sub_orchestration_completes_its_parent_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent does not depend on the base class's wait for its child, which gives up after 30 seconds."""
    monkeypatch.setattr(
        in_memory_backend.InMemoryOrchestrationBackend, "_wait_for_state", lambda *_args, **_options: None
    )
    hub = TaskHub(port=free_port())
    address = hub.start()
    with HandWorker(address) as worker, HandWorker(address) as child:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), sub_orchestration(1, child.name, f"{instance_id}:1"))
        first = child.take()
        child.finish_turn(first)
        child.raise_event(f"{instance_id}:1")
        child.finish_turn(child.take(), done('"at last"'))
        turn = worker.take()
        worker.finish_turn(turn, done())
    hub.stop()

    arrived = turn.orchestratorRequest.newEvents
    assert kinds(arrived) == ["subOrchestrationInstanceCompleted"]
    assert arrived[-1].subOrchestrationInstanceCompleted.result.value == '"at last"'
    parent = next(event for event in first.orchestratorRequest.newEvents if event.HasField("executionStarted"))
    assert parent.executionStarted.parentInstance.orchestrationInstance.instanceId == instance_id


def test_sub_orchestration_tells_its_parent_why_it_failed(hub: HubProcess) -> None:
    """The parent sees the type and the message of the child's failure."""
    failed = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED,
        failureDetails=pb.TaskFailureDetails(errorType="ValueError", errorMessage="bad row"),
    )
    with HandWorker(hub.address) as worker, HandWorker(hub.address) as child:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), sub_orchestration(1, child.name, f"{instance_id}:1"))
        child.finish_turn(child.take(), pb.OrchestratorAction(id=-1, completeOrchestration=failed))
        turn = worker.take()
        worker.finish_turn(turn, done())

    failure = turn.orchestratorRequest.newEvents[-1].subOrchestrationInstanceFailed.failureDetails
    assert (failure.errorType, failure.errorMessage) == ("ValueError", "bad row")


def test_run_with_too_long_a_history_fails_visibly(tmp_path: Path) -> None:
    """An instance whose run has more events than the hub keeps ends as failed and says so."""
    hub = HubProcess(tmp_path, "--history-limit", "40")

    def step(_context: task.ActivityContext, number: int) -> int:
        return number

    def long(context: task.OrchestrationContext, count: int) -> Any:
        for number in range(count):
            yield context.call_activity(step, input=number)

    with TaskHubGrpcWorker(host_address=hub.address) as worker, TaskHubGrpcClient(host_address=hub.address) as client:
        worker.add_activity(step)
        worker.add_orchestrator(long)
        worker.start()
        state = client.wait_for_orchestration_completion(client.schedule_new_orchestration(long, input=30), timeout=60)
    hub.stop()

    assert state is not None
    assert state.runtime_status == OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert state.failure_details.error_type == "HistorySizeExceeded"


def test_history_tells_of_every_run(hub: HubProcess) -> None:
    """The control endpoint lists the events of past and current runs with their sizes and contents."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        worker.finish_turn(worker.take(), again('"of the second run"'))
        worker.finish_turn(worker.take(), done())

    first, second = hub.history(instance_id)["generations"]
    assert [first["generation"], second["generation"]] == [0, 1]
    assert first["executionId"] != second["executionId"]
    assert [event["kind"] for event in first["events"]] == ["orchestratorStarted", "executionStarted"]
    started = second["events"][1]
    assert started["content"]["input"] == '"of the second run"'
    assert len('"of the second run"') < started["bytes"]
    assert sum(event["bytes"] for event in second["events"]) == second["bytes"]
