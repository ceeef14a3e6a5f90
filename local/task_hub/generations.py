"""Which run of an instance an event belongs to, so that a late result never reaches a later run.

Every run of an instance (the first, and one more for each continue-as-new) has an execution id. An activity, a timer or
a sub-orchestration remembers the execution that started it; its result is dropped when another one is current or the
instance has ended. The base class compares instance ids only.
"""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import logging
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import override

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend, OrchestrationInstance

from local.task_hub.limits import failed_turn, history_failure, message_failure, payload_failure
from local.task_hub.timers import Timers

HISTORY_LIMIT = 10_000

# What the caller of an instance sends, as opposed to the result of something that an earlier run had started.
EVENTS_FOR_ANY_RUN = frozenset(
    {"eventRaised", "executionTerminated", "executionSuspended", "executionResumed", "entityOperationSignaled"}
)

_log = logging.getLogger(__name__)


@dataclass
class Execution:
    """The current run of an instance, and the histories of the runs before it."""

    instance: OrchestrationInstance
    execution_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    past: list[tuple[str, list[pb.HistoryEvent]]] = field(default_factory=list)
    events_sent: int = 0  # by clients, each counted once however often it is delivered

    def begin_next(self) -> None:
        """Keep the history of the run that ends, and give the next run an id of its own."""
        self.past.append((self.execution_id, list(self.instance.history)))
        self.execution_id = uuid.uuid4().hex


@dataclass(frozen=True)
class Parent:
    """Who waits for a sub-orchestration."""

    instance_id: str
    execution_id: str
    task_id: int


class GenerationalBackend(InMemoryOrchestrationBackend):
    """The backend with runs told apart, timers in a heap and a history limit that fails the instance."""

    def __init__(self, *, port: int, history_limit: int = HISTORY_LIMIT) -> None:
        # The base class answers an overflow with an error to the worker and leaves the instance running for ever.
        super().__init__(max_history_size=sys.maxsize, port=port)
        self._history_limit = history_limit
        self._executions: dict[str, Execution] = {}
        self._parents: dict[str, Parent] = {}
        self._timers = Timers()
        self._timers.start()

    def _execution_of(self, instance: OrchestrationInstance) -> Execution:
        execution = self._executions.get(instance.instance_id)
        if execution is None or execution.instance is not instance:  # the id was used again
            execution = self._executions[instance.instance_id] = Execution(instance)
        return execution

    def _deliver(self, instance_id: str, execution_id: str, event: pb.HistoryEvent) -> None:
        """Hand a result to the run that asked for it, or drop it when that run is over."""
        instance = self._instances.get(instance_id)
        if (
            instance is None
            or self._is_terminal_status(instance.status)
            or self._execution_of(instance).execution_id != execution_id
        ):
            _log.info("Dropped a late %s of %s: that run is over", event.WhichOneof("eventType"), instance_id)
            return
        event.timestamp.GetCurrentTime()
        instance.pending_events.append(event)
        instance.last_updated_at = datetime.now(UTC)
        self._enqueue_orchestration(instance_id)

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance is not None:
                self._execution_of(instance)
                failure = payload_failure(request) or message_failure("a turn's answer", request)
                size = len(instance.history) + len(instance.dispatched_events) + len(request.actions)
                if size > self._history_limit:
                    failure = history_failure(size, self._history_limit)
                if failure is not None:
                    request = failed_turn(request.instanceId, request.completionToken, failure)
            return super().CompleteOrchestratorTask(request, context)

    @override
    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        if complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            self._execution_of(instance).begin_next()
            instance.pending_events = [
                event for event in instance.pending_events if event.WhichOneof("eventType") in EVENTS_FOR_ANY_RUN
            ]
        super()._process_complete_orchestration_action(instance, complete_action)

    @override
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        instance_id, execution_id = instance.instance_id, self._execution_of(instance).execution_id

        def fire() -> None:
            with self._lock:
                self._deliver(instance_id, execution_id, helpers.new_timer_fired_event(action.id, fire_at))

        self._timers.schedule(fire_at, fire)

    @override
    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        def fire() -> None:
            with self._lock:
                self._queue_entity_operation(entity_id, event)

        self._timers.schedule(fire_at, fire)

    @override
    def _process_create_sub_orchestration_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        super()._process_create_sub_orchestration_action(instance, action)
        parent = self._parents.get(action.createSubOrchestration.instanceId)
        if parent != self._as_parent(instance, action.id):
            return  # it could not be created, and the parent has been told
        for event in self._instances[action.createSubOrchestration.instanceId].pending_events:
            if event.HasField("executionStarted"):
                info = event.executionStarted.parentInstance
                info.taskScheduledId = action.id
                info.name.value = instance.name
                info.orchestrationInstance.instanceId = instance.instance_id
                info.orchestrationInstance.executionId.value = parent.execution_id

    def _as_parent(self, instance: OrchestrationInstance, task_id: int) -> Parent:
        return Parent(instance.instance_id, self._execution_of(instance).execution_id, task_id)

    @override
    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        """Remember who waits; the base class waits in a thread and gives up after 30 seconds."""
        self._parents[sub_instance_id] = self._as_parent(self._instances[parent_instance_id], task_id)
        self._notify_waiters(sub_instance_id)

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        instance = self._instances.get(instance_id)
        if instance is None or not self._is_terminal_status(instance.status):
            return
        parent = self._parents.pop(instance_id, None)
        if parent is not None:
            self._deliver(parent.instance_id, parent.execution_id, _result_of(instance, parent.task_id))


def _result_of(instance: OrchestrationInstance, task_id: int) -> pb.HistoryEvent:
    if instance.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        return helpers.new_sub_orchestration_completed_event(task_id, instance.output)
    failure = instance.failure_details or pb.TaskFailureDetails(
        errorType="SubOrchestrationTerminated", errorMessage=f"The sub-orchestration {instance.instance_id} was ended"
    )
    return pb.HistoryEvent(
        eventId=-1,
        subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent(
            taskScheduledId=task_id, failureDetails=failure
        ),
    )
