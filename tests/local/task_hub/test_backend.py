"""What a client may ask of the task hub, and how the hub listens."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.worker import TaskHubGrpcWorker

from tests.local.task_hub.hand_worker import HandWorker, call_of
from tests.local.task_hub.hub_process import HubProcess

Schedule = Callable[..., str]


def waits(context: task.OrchestrationContext, _: Any) -> Any:
    """Wait for an event."""
    yield context.wait_for_external_event("go")
    return "went"


def fails(_context: task.OrchestrationContext, _: Any) -> None:
    """Fail at once."""
    raise ValueError("no")


def measures(_context: task.OrchestrationContext, text: str) -> int:
    """Return the length of the input."""
    return len(text)


@pytest.fixture(scope="module", autouse=True)
def _worker(hub: HubProcess) -> Iterator[None]:
    with TaskHubGrpcWorker(host_address=hub.address) as worker:
        orchestrators: tuple[Callable[..., Any], ...] = (waits, fails, measures)
        for orchestrator in orchestrators:
            worker.add_orchestrator(orchestrator)
        worker.use_work_item_filters()
        worker.start()
        yield


def _finish(client: TaskHubGrpcClient, instance_id: str) -> OrchestrationStatus:
    state = client.wait_for_orchestration_completion(instance_id, timeout=60)
    assert state is not None
    return state.runtime_status


def test_id_of_an_ended_instance_may_be_used_again(client: TaskHubGrpcClient) -> None:
    """A completed or failed instance is replaced by a new one of the same id, without any policy."""
    for orchestrator in (measures, fails, measures):
        client.schedule_new_orchestration(orchestrator, input="abc", instance_id="reused")
        _finish(client, "reused")

    state = client.get_orchestration_state("reused")
    assert state is not None
    assert (state.runtime_status, state.serialized_output) == (OrchestrationStatus.COMPLETED, "3")


@pytest.mark.parametrize("replaceable", [[], [pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_COMPLETED]])
def test_live_instance_is_never_replaced(client: TaskHubGrpcClient, replaceable: list[Any]) -> None:
    """A second start under the id of a running instance is refused, even if the policy lists running instances."""
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=replaceable)
    instance_id = client.schedule_new_orchestration(waits)
    client.wait_for_orchestration_start(instance_id, timeout=60)

    with pytest.raises(grpc.RpcError) as refused:
        client.schedule_new_orchestration(measures, input="", instance_id=instance_id, reuse_id_policy=policy)

    assert call_of(refused.value).code() == grpc.StatusCode.ALREADY_EXISTS
    client.raise_orchestration_event(instance_id, "go")
    assert _finish(client, instance_id) == OrchestrationStatus.COMPLETED


def test_policy_that_does_not_list_the_status_keeps_the_instance(client: TaskHubGrpcClient) -> None:
    """A completed instance is kept if the caller only wants to replace failed ones."""
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_FAILED])
    instance_id = client.schedule_new_orchestration(measures, input="abc")
    _finish(client, instance_id)

    with pytest.raises(grpc.RpcError) as refused:
        client.schedule_new_orchestration(measures, input="", instance_id=instance_id, reuse_id_policy=policy)

    assert call_of(refused.value).code() == grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    "send",
    [
        lambda client, instance_id: client.raise_orchestration_event(instance_id, "go"),
        lambda client, instance_id: client.terminate_orchestration(instance_id),
    ],
    ids=["raise", "terminate"],
)
def test_message_to_an_instance_that_is_not_running_is_refused(
    client: TaskHubGrpcClient, send: Callable[[TaskHubGrpcClient, str], None]
) -> None:
    """An event or a termination for an ended instance fails its precondition; for an unknown one it is not found."""
    ended = client.schedule_new_orchestration(measures, input="")
    _finish(client, ended)
    codes = []
    for instance_id in (ended, "unknown"):
        with pytest.raises(grpc.RpcError) as refused:
            send(client, instance_id)
        codes.append(call_of(refused.value).code())

    assert codes == [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND]


@pytest.mark.parametrize("instance_id", ["x" * 101, "@entity", "naïve"])
def test_instance_id_that_the_scheduler_refuses_is_refused(client: TaskHubGrpcClient, instance_id: str) -> None:
    """An instance id is at most 100 printable ASCII characters and does not start with an at sign."""
    with pytest.raises(grpc.RpcError) as refused:
        client.schedule_new_orchestration(measures, input="", instance_id=instance_id)

    assert call_of(refused.value).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_many_workers_leave_room_for_clients(hub: HubProcess, client: TaskHubGrpcClient) -> None:
    """With 20 streams of work open, a client is still answered."""
    with ExitStack() as workers:
        for _ in range(20):
            workers.enter_context(HandWorker(hub.address))
        instance_id = client.schedule_new_orchestration(measures, input="abc")

        assert _finish(client, instance_id) == OrchestrationStatus.COMPLETED


def test_hub_listens_on_loopback_only(hub: HubProcess) -> None:
    """The hub's port is still free on the machine's other addresses."""
    with socket.socket() as other:
        other.bind(("127.0.0.2", hub.port))  # would be taken if the hub had bound every address

        assert other.getsockname() == ("127.0.0.2", hub.port)
