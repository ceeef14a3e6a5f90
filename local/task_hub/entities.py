"""Batches of entity operations: leased to one worker at a time, handed out again when it goes away."""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import logging
from typing import override

import grpc
from durabletask.entities.entity_instance_id import EntityInstanceId
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import EntityState

from local.task_hub.activities import ActivityLeases
from local.task_hub.limits import payload_failure
from local.task_hub.workers import Worker, full

_log = logging.getLogger(__name__)


class EntityLeases(ActivityLeases):
    """The backend with each batch of entity operations leased to a worker."""

    def _take_entity(self, worker: Worker) -> pb.WorkItem | None:
        if full(worker.entities, worker.request.maxConcurrentEntityWorkItems):
            return None
        for _ in range(len(self._entity_queue)):
            entity_id = self._entity_queue.popleft()
            if not self._matches_filter(EntityInstanceId.parse(entity_id).entity, None, worker.filters[2]):
                self._entity_queue.append(entity_id)  # for another worker
                continue
            self._entity_queue_set.discard(entity_id)
            entity = self._entities.get(entity_id)
            if entity is None or not entity.pending_operations or entity_id in self._entity_in_flight:
                continue  # what arrives while a batch is in flight is queued again by its completion
            worker.take(worker.entities, entity_id)
            return self._dispatch_entity(entity)
        return None

    def _dispatch_entity(self, entity: EntityState) -> pb.WorkItem:
        entity.dispatched_operations, entity.pending_operations = entity.pending_operations, []
        self._entity_in_flight.add(entity.instance_id)
        return pb.WorkItem(
            completionToken=str(entity.completion_token),
            entityRequestV2=pb.EntityRequest(
                instanceId=entity.instance_id,
                entityState=helpers.get_string_value(entity.serialized_state),
                operationRequests=entity.dispatched_operations,
            ),
        )

    def _requeue_entity(self, entity: EntityState) -> None:
        entity.pending_operations = [*entity.dispatched_operations, *entity.pending_operations]
        entity.dispatched_operations = []
        entity.completion_token = self._new_token()
        self._entity_in_flight.discard(entity.instance_id)
        self._enqueue_entity(entity.instance_id)

    @override
    def CompleteEntityTask(
        self, request: pb.EntityBatchResult, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._work:
            entity = self._settle_entity(request.completionToken)
            if entity is None:
                _log.warning("Ignored a stale completion of an entity's batch")
                return pb.CompleteTaskResponse()
            if (failure := payload_failure(request)) is not None:
                request = _failed_batch(request, entity, failure)
            return super().CompleteEntityTask(request, context)

    @override
    def AbandonTaskEntityWorkItem(
        self, request: pb.AbandonEntityTaskRequest, context: grpc.ServicerContext
    ) -> pb.AbandonEntityTaskResponse:
        with self._work:
            entity = self._settle_entity(request.completionToken)
            if entity is not None:
                self._requeue_entity(entity)
        return pb.AbandonEntityTaskResponse()

    def _settle_entity(self, token: str) -> EntityState | None:
        """End the lease with this token; return its entity, or None where no worker holds it."""
        for worker in self._workers:
            for entity_id in worker.entities:
                if str(self._entities[entity_id].completion_token) == token:
                    self._settle(worker, worker.entities, entity_id)
                    return self._entities[entity_id]
        return None


def _failed_batch(
    batch: pb.EntityBatchResult, entity: EntityState, failure: pb.TaskFailureDetails
) -> pb.EntityBatchResult:
    """Fail every operation of the batch; the entity's state stays as it was."""
    failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
    return pb.EntityBatchResult(
        completionToken=batch.completionToken,
        entityState=helpers.get_string_value(entity.serialized_state),
        operationInfos=batch.operationInfos,
        results=[failed] * len(batch.operationInfos),
    )
