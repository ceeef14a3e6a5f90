"""What the scheduler does not take: payloads over 1 MB, messages over 4 MB. Each fails clearly, and starves nobody."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from local.task_hub.limits import MESSAGE_BYTES, PAYLOAD_BYTES
from tests.local.task_hub.hand_worker import HandWorker, again, call_of, done, kinds
from tests.local.task_hub.hub_process import HubProcess

LARGEST = "x" * PAYLOAD_BYTES
TOO_LARGE = LARGEST + "x"
TOO_MANY = MESSAGE_BYTES // PAYLOAD_BYTES


def _text(text: str) -> object:
    return helpers.get_string_value(text)


def _failure_of(worker: HandWorker, instance_id: str) -> pb.TaskFailureDetails:
    """Wait for the instance to end, and return why it failed."""
    asked = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
    state = worker.stub.WaitForInstanceCompletion(asked, timeout=60).orchestrationState
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    found: pb.TaskFailureDetails = state.failureDetails
    return found


@pytest.mark.parametrize("asked", ["StartInstance", "RaiseEvent", "TerminateInstance"])
def test_a_client_is_refused_what_is_too_large(hub: HubProcess, asked: str) -> None:
    """Input, event data and the reason of a termination: a mebibyte is taken, a byte more is refused by name."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        requests: dict[str, Callable[[str], Any]] = {
            "StartInstance": lambda text: pb.CreateInstanceRequest(name=worker.name, input=_text(text)),
            "RaiseEvent": lambda text: pb.RaiseEventRequest(instanceId=instance_id, name="go", input=_text(text)),
            "TerminateInstance": lambda text: pb.TerminateRequest(instanceId=instance_id, output=_text(text)),
        }
        call, request = getattr(worker.stub, asked), requests[asked]

        with pytest.raises(grpc.RpcError) as refused:
            call(request(TOO_LARGE))
        call(request(LARGEST))

    assert call_of(refused.value).code() is grpc.StatusCode.INVALID_ARGUMENT
    field = "output" if asked == "TerminateInstance" else "input"
    assert call_of(refused.value).details().startswith(f"{field} has {PAYLOAD_BYTES + 1} bytes")


@pytest.mark.parametrize("part", ["activity input", "sub-orchestration input", "output", "new input", "custom status"])
def test_an_orchestration_fails_that_hands_over_what_is_too_large(hub: HubProcess, part: str) -> None:
    """Whatever a turn answers with, the instance ends in a failure that names field and size."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        turn = worker.take()
        actions = {
            "activity input": helpers.new_schedule_task_action(1, worker.name, TOO_LARGE, {}),
            "sub-orchestration input": helpers.new_create_sub_orchestration_action(1, "x", "y", TOO_LARGE, None),
            "output": done(TOO_LARGE),
            "new input": again(TOO_LARGE),
        }
        answer = pb.OrchestratorResponse(instanceId=instance_id, completionToken=turn.completionToken)
        if part == "custom status":
            answer.customStatus.value = TOO_LARGE
        else:
            answer.actions.append(actions[part])
        worker.stub.CompleteOrchestratorTask(answer)

        failure = _failure_of(worker, instance_id)

    assert (failure.errorType, failure.isNonRetriable) == ("PayloadTooLarge", True)
    assert f"has {PAYLOAD_BYTES + 1} bytes" in failure.errorMessage


def test_a_result_that_is_too_large_fails_its_activity(hub: HubProcess) -> None:
    """The orchestration is told, once; the activity is not done again for ever."""
    with HandWorker(hub.address) as worker:
        worker.start()
        worker.finish_turn(worker.take(), worker.activity(1))
        worker.finish_activity(worker.take(), TOO_LARGE)
        turn = worker.take()
        worker.finish_turn(turn, done())

    events = turn.orchestratorRequest.newEvents
    assert kinds(events) == ["taskFailed"]
    assert events[-1].taskFailed.failureDetails.errorType == "PayloadTooLarge"


def test_a_history_that_no_channel_carries_fails_its_run_and_starves_no_worker(hub: HubProcess) -> None:
    """A stock worker, whose channel takes 4 MB, is given the next instance's work; the large run has failed."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        steps = [worker.activity(number) for number in range(1, TOO_MANY + 1)]
        worker.finish_turn(worker.take(), *steps)
        held = [worker.take() for _ in steps]
        for number, item in enumerate(held):
            worker.finish_activity(item, LARGEST)
            if number < len(held) - 1:  # the last result makes the history too large for a message
                worker.finish_turn(worker.take())
        failure = _failure_of(worker, instance_id)
        other = worker.start()
        worker.finish_turn(worker.take(), done())

    assert failure.errorType == "MessageTooLarge"
    assert hub.history(other)["status"] == "COMPLETED"


def test_an_answer_that_no_channel_carries_fails_its_run(hub: HubProcess) -> None:
    """Payloads that are each within the limit may be too many for one message."""
    with HandWorker(hub.address) as worker:
        instance_id = worker.start()
        turn = worker.take()
        worker.finish_turn(turn, *[helpers.new_schedule_task_action(n, "x", LARGEST, {}) for n in range(TOO_MANY)])

        failure = _failure_of(worker, instance_id)

    assert failure.errorType == "MessageTooLarge"
