"""Turns of orchestrations: leased to one worker at a time, handed out again when it goes away."""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import logging
from datetime import UTC, datetime
from typing import override

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import OrchestrationInstance

from local.task_hub.limits import failed_turn, message_failure
from local.task_hub.workers import Worker, WorkerRegistry, full

_log = logging.getLogger(__name__)


class OrchestrationLeases(WorkerRegistry):
    """The backend with each turn of an orchestration leased to a worker."""

    def _take_orchestration(self, worker: Worker) -> pb.WorkItem | None:
        if full(worker.orchestrations, worker.request.maxConcurrentOrchestrationWorkItems):
            return None
        for _ in range(len(self._orchestration_queue)):
            instance_id = self._orchestration_queue.popleft()
            instance = self._instances.get(instance_id)
            if instance is not None and not self._matches_filter(instance.name, instance.version, worker.filters[0]):
                self._orchestration_queue.append(instance_id)  # for another worker
                continue
            self._orchestration_queue_set.discard(instance_id)
            if instance is None or not instance.pending_events or instance_id in self._orchestration_in_flight:
                continue  # what arrives while a turn is in flight is queued again by its completion
            if self._is_terminal_status(instance.status):
                instance.pending_events.clear()
                continue
            item = self._dispatch_orchestration(instance)
            if (failure := message_failure("a turn with its history", item)) is not None:
                # No worker could take it: its channel would break, and again at the next hand-out, for ever.
                response = failed_turn(instance_id, item.completionToken, failure)
                super().CompleteOrchestratorTask(response, None)  # type: ignore[arg-type]  # used at a limit that is off
                continue
            worker.take(worker.orchestrations, instance_id)
            return item
        return None

    def _dispatch_orchestration(self, instance: OrchestrationInstance) -> pb.WorkItem:
        execution_id = self._execution_of(instance).execution_id
        events, instance.pending_events = instance.pending_events, []
        if not events[0].HasField("orchestratorStarted"):  # advances the orchestrator's clock
            events.insert(0, helpers.new_orchestrator_started_event(datetime.now(UTC)))
        for event in events:
            if event.HasField("executionStarted"):
                event.executionStarted.orchestrationInstance.executionId.value = execution_id
        instance.dispatched_events = events
        self._orchestration_in_flight.add(instance.instance_id)
        return pb.WorkItem(
            completionToken=str(instance.completion_token),
            orchestratorRequest=pb.OrchestratorRequest(
                instanceId=instance.instance_id,
                executionId=helpers.get_string_value(execution_id),
                pastEvents=instance.history,
                newEvents=events,
            ),
        )

    def _requeue_orchestration(self, instance: OrchestrationInstance) -> None:
        instance.pending_events = [*instance.dispatched_events, *instance.pending_events]
        instance.dispatched_events = []
        instance.completion_token = self._new_token()
        self._orchestration_in_flight.discard(instance.instance_id)
        self._enqueue_orchestration(instance.instance_id)

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._work:
            if self._settle_orchestration(request.completionToken) is None:
                _log.warning("Ignored a stale completion of a turn of %s", request.instanceId)
                return pb.CompleteTaskResponse()
            return super().CompleteOrchestratorTask(request, context)

    @override
    def AbandonTaskOrchestratorWorkItem(
        self, request: pb.AbandonOrchestrationTaskRequest, context: grpc.ServicerContext
    ) -> pb.AbandonOrchestrationTaskResponse:
        with self._work:
            instance = self._settle_orchestration(request.completionToken)
            if instance is not None:
                self._requeue_orchestration(instance)
        return pb.AbandonOrchestrationTaskResponse()

    def _settle_orchestration(self, token: str) -> OrchestrationInstance | None:
        """End the lease with this token; return its instance, or None where no worker holds it."""
        for worker in self._workers:
            for instance_id in worker.orchestrations:
                if str(self._instances[instance_id].completion_token) == token:
                    self._settle(worker, worker.orchestrations, instance_id)
                    return self._instances[instance_id]
        return None
