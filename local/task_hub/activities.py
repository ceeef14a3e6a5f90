"""Activities: one completion token for each hand-out, so that a result counts once and only from the last worker."""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import logging
from dataclasses import dataclass, replace
from typing import override

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import ActivityWorkItem, OrchestrationInstance

from local.task_hub.generations import HISTORY_LIMIT
from local.task_hub.limits import payload_failure
from local.task_hub.orchestrations import OrchestrationLeases
from local.task_hub.workers import LOCK_SECONDS, Worker, full

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenActivity:
    """An activity that is queued or with a worker, and the run of the instance that waits for it."""

    item: ActivityWorkItem
    execution_id: str
    given_up: Worker | None = None  # had it and lost it; it goes to another one where there is another


class ActivityLeases(OrchestrationLeases):
    """The backend with each activity leased to a worker."""

    def __init__(self, *, port: int, history_limit: int = HISTORY_LIMIT, lock_seconds: float = LOCK_SECONDS) -> None:
        super().__init__(port=port, history_limit=history_limit, lock_seconds=lock_seconds)
        self._open_activities: dict[str, OpenActivity] = {}  # by completion token

    @override
    def _process_schedule_task_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        super()._process_schedule_task_action(instance, action)
        # The base class gives all activities of a turn one token.
        item = replace(self._activity_queue.pop(), completion_token=self._new_token())
        self._activity_queue.append(item)
        execution_id = self._execution_of(instance).execution_id
        self._open_activities[str(item.completion_token)] = OpenActivity(item, execution_id)

    def _take_activity(self, worker: Worker) -> pb.WorkItem | None:
        if full(worker.activities, worker.request.maxConcurrentActivityWorkItems):
            return None
        for _ in range(len(self._activity_queue)):
            item = self._activity_queue.popleft()
            token = str(item.completion_token)
            lost = self._open_activities[token].given_up is worker and len(self._workers) > 1
            if lost or not self._matches_filter(item.name, item.version, worker.filters[1]):
                self._activity_queue.append(item)  # for another worker
                continue
            worker.take(worker.activities, token)
            return pb.WorkItem(completionToken=token, activityRequest=_request_of(self._open_activities[token]))
        return None

    def _requeue_activity(self, token: str, given_up: Worker | None = None) -> None:
        activity = self._open_activities.pop(token)
        item = replace(activity.item, completion_token=self._new_token())
        self._open_activities[str(item.completion_token)] = OpenActivity(item, activity.execution_id, given_up)
        self._activity_queue.appendleft(item)

    def give_up(self, name: str) -> int:
        """Take the activities of this name from the workers that hold them, who are not told, and hand them out again.

        So does the service where a worker has not renewed its hold in time: it may be frozen, or cut off, and live on.
        What it answers later is stale. Returns how many were taken.
        """
        with self._work:
            held = [(worker, token) for worker in self._workers for token in worker.activities]
            taken = [(worker, token) for worker, token in held if self._open_activities[token].item.name == name]
            for worker, token in taken:
                worker.activities.discard(token)
                self._requeue_activity(token, given_up=worker)
            self._work.notify_all()
            return len(taken)

    @override
    def CompleteActivityTask(
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._work:
            if not self._settle_activity(request.completionToken):
                _log.warning("Ignored a stale completion of activity %s of %s", request.taskId, request.instanceId)
                return pb.CompleteTaskResponse()
            activity = self._open_activities.pop(request.completionToken)
            if (failure := payload_failure(request)) is not None:
                request = pb.ActivityResponse(failureDetails=failure)
            self._deliver(activity.item.instance_id, activity.execution_id, _outcome_of(request, activity.item))
        return pb.CompleteTaskResponse()

    @override
    def AbandonTaskActivityWorkItem(
        self, request: pb.AbandonActivityTaskRequest, context: grpc.ServicerContext
    ) -> pb.AbandonActivityTaskResponse:
        with self._work:
            if self._settle_activity(request.completionToken):
                self._requeue_activity(request.completionToken)
        return pb.AbandonActivityTaskResponse()

    def _settle_activity(self, token: str) -> bool:
        """End the lease with this token; return False where no worker holds it."""
        for worker in self._workers:
            if token in worker.activities:
                self._settle(worker, worker.activities, token)
                return True
        return False


def _request_of(activity: OpenActivity) -> pb.ActivityRequest:
    item = activity.item
    return pb.ActivityRequest(
        name=item.name,
        taskId=item.task_id,
        input=helpers.get_string_value(item.input or None),
        version=helpers.get_string_value(item.version),
        orchestrationInstance=pb.OrchestrationInstance(
            instanceId=item.instance_id, executionId=helpers.get_string_value(activity.execution_id)
        ),
    )


def _outcome_of(response: pb.ActivityResponse, item: ActivityWorkItem) -> pb.HistoryEvent:
    """Return the event for the orchestration; a failure without a message is a failure too."""
    if response.HasField("failureDetails"):
        failed = pb.TaskFailedEvent(taskScheduledId=item.task_id, failureDetails=response.failureDetails)
        return pb.HistoryEvent(eventId=-1, taskFailed=failed)
    result = response.result if response.HasField("result") else None
    completed = pb.TaskCompletedEvent(taskScheduledId=item.task_id, result=result)
    return pb.HistoryEvent(eventId=-1, taskCompleted=completed)
