"""A worker of the task hub that is driven by hand, one message at a time, so that a test decides what happens when."""

import queue
import threading
import time
import uuid
from datetime import datetime
from typing import Any, Self

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf.empty_pb2 import Empty  # type: ignore[attr-defined]  # the generated module has no stub

from local.task_hub.workers import WORKER_ID

TIMEOUT_SECONDS = 60


def call_of(error: grpc.RpcError) -> Any:
    """Return the refused call, which the error is as well: its code and its details are there."""
    assert isinstance(error, grpc.Call)
    return error


class HandWorker:
    """One stream of work items; leaving the context ends it."""

    def __init__(self, address: str, *, name: str | None = None, activities: int = 0, orchestrations: int = 0) -> None:
        self.name = name or f"by_hand_{uuid.uuid4().hex}"  # takes only work of this name, no leftovers of other tests
        self._id = uuid.uuid4().hex
        self._channel = grpc.insecure_channel(address)  # type: ignore[no-untyped-call]  # grpc ships no types
        self.stub: Any = stubs.TaskHubSidecarServiceStub(self._channel)
        self._stream = self.stub.GetWorkItems(
            pb.GetWorkItemsRequest(
                worker_instance_id=self._id,
                maxConcurrentActivityWorkItems=activities,
                maxConcurrentOrchestrationWorkItems=orchestrations,
                workItemFilters=pb.WorkItemFilters(
                    orchestrations=[pb.OrchestrationFilter(name=self.name)],
                    activities=[pb.ActivityFilter(name=self.name)],
                ),
            )
        )
        self._stream.initial_metadata()
        self._items: queue.Queue[pb.WorkItem] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            for item in self._stream:
                self._items.put(item)
        except grpc.RpcError:
            return  # the stream was ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the stream and the connection, as a worker that goes away does."""
        self._stream.cancel()
        self._reader.join()
        self._channel.close()

    def take(self) -> pb.WorkItem:
        """Wait for the next work item."""
        return self._items.get(timeout=TIMEOUT_SECONDS)

    @property
    def idle(self) -> bool:
        """Tell whether nothing has arrived that was not taken."""
        return self._items.empty()

    def renew(self) -> None:
        """Renew the locks of what it holds."""
        self.stub.Hello(Empty(), metadata=[(WORKER_ID, self._id)])

    def start(self) -> str:
        """Start an instance and return its id."""
        answer = self.stub.StartInstance(pb.CreateInstanceRequest(name=self.name))
        return str(answer.instanceId)

    def activity(self, task_id: int) -> pb.OrchestratorAction:
        """Schedule an activity that a worker of this name takes."""
        return helpers.new_schedule_task_action(task_id, self.name, "1", {})

    def finish_turn(self, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        """Complete a turn of an orchestration with these actions."""
        self.stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(
                instanceId=item.orchestratorRequest.instanceId, completionToken=item.completionToken, actions=actions
            )
        )

    def finish_activity(self, item: pb.WorkItem, result: str) -> None:
        """Complete an activity with this JSON result."""
        request = item.activityRequest
        self.stub.CompleteActivityTask(
            pb.ActivityResponse(
                instanceId=request.orchestrationInstance.instanceId,
                taskId=request.taskId,
                result=helpers.get_string_value(result),
                completionToken=item.completionToken,
            )
        )

    def abandon(self, item: pb.WorkItem) -> None:
        """Give a turn or an activity back."""
        if item.HasField("orchestratorRequest"):
            request = pb.AbandonOrchestrationTaskRequest(completionToken=item.completionToken)
            self.stub.AbandonTaskOrchestratorWorkItem(request)
        else:
            self.stub.AbandonTaskActivityWorkItem(pb.AbandonActivityTaskRequest(completionToken=item.completionToken))

    def raise_event(self, instance_id: str, name: str = "go") -> None:
        """Send an event to an instance."""
        self.stub.RaiseEvent(pb.RaiseEventRequest(instanceId=instance_id, name=name))


def timer(task_id: int, fire_at: datetime) -> pb.OrchestratorAction:
    """Create a timer."""
    return helpers.new_create_timer_action(task_id, fire_at)


def sub_orchestration(task_id: int, name: str, instance_id: str) -> pb.OrchestratorAction:
    """Start a sub-orchestration."""
    return helpers.new_create_sub_orchestration_action(task_id, name, instance_id, None, None)


def done(result: str = '"done"') -> pb.OrchestratorAction:
    """Complete the instance."""
    return helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_COMPLETED, result)


def again(new_input: str = "2") -> pb.OrchestratorAction:
    """Continue as new."""
    return helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, new_input)


def kinds(events: Any) -> list[str]:
    """Return the kinds of events, the bookkeeping of turns left out."""
    found = [event.WhichOneof("eventType") for event in events]
    return [kind for kind in found if kind not in ("orchestratorStarted", "orchestratorCompleted")]


def first_of(*workers: HandWorker) -> HandWorker:
    """Wait until the hub has given one of the workers something, and return that one."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    while (found := next((worker for worker in workers if not worker.idle), None)) is None:
        assert time.monotonic() < ends, "the hub gave nothing to any of the workers"
        time.sleep(0.01)
    return found
