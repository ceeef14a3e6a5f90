"""One work item of the task hub: run by the worker, and its outcome reported as the durable extension reports it."""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import base64
import json
from typing import Any

from durabletask.entities.entity_instance_id import EntityInstanceId
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from local.common.faults import Faults
from local.functions_host.durable_binding import ClientBinding
from local.functions_host.functions import Function
from local.functions_host.messages import TypedData
from local.functions_host.worker import InvocationError, Worker


class DurableWork:
    """Runs work items through the worker and completes them at the hub."""

    def __init__(self, worker: Worker, stub: Any, client: ClientBinding, faults: Faults) -> None:
        self._worker = worker
        self._stub = stub
        self._client = client
        self._faults = faults
        self._orchestrators = _by_name(worker, "orchestrationTrigger", "orchestration")
        self._activities = _by_name(worker, "activityTrigger", "activity")
        self._entities = {
            name.lower(): function for name, function in _by_name(worker, "entityTrigger", "entityName").items()
        }

    async def orchestrate(self, item: pb.WorkItem) -> None:
        """Run one turn of an orchestration."""
        request = item.orchestratorRequest
        name = _orchestration_name(request)
        function = self._orchestrators.get(name)
        if function is None:
            response = _failed_orchestration(
                pb.TaskFailureDetails(
                    errorType="OrchestratorFunctionNotFound", errorMessage=_unknown("orchestrator", name)
                )
            )
        else:
            try:
                response = pb.OrchestratorResponse.FromString(await self._exchange(function, request))
            except InvocationError as error:
                response = _failed_orchestration(
                    pb.TaskFailureDetails(
                        errorType="FunctionInvocationFailed",
                        errorMessage=f"Invocation of function '{name}' failed with an exception.",
                        innerFailure=_failure_of(error),
                        isNonRetriable=True,
                    )
                )
        response.instanceId, response.completionToken = request.instanceId, item.completionToken
        await self._stub.CompleteOrchestratorTask(response)

    async def act(self, item: pb.WorkItem) -> None:
        """Run an activity; what it raises becomes the failure that the orchestrator sees."""
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
        )
        function = self._activities.get(request.name)
        if function is None:
            failure = pb.TaskFailureDetails(errorType="", errorMessage=_unknown("activity", request.name))
            response.failureDetails.CopyFrom(failure)
        else:
            try:
                response.result.value = await self._run_activity(function, request)
            except InvocationError as error:
                response.failureDetails.CopyFrom(_failure_of(error))
        await self._stub.CompleteActivityTask(response)

    async def _run_activity(self, function: Function, request: pb.ActivityRequest) -> str:
        await self._faults.wait(function.name)
        payload = request.input.value if request.HasField("input") else "null"
        inputs = {function.trigger["name"]: TypedData(json=payload)} | self._client.inputs(function)
        instance_id = TypedData(string=request.orchestrationInstance.instanceId)
        result = await self._worker.invoke(function, inputs, {"instanceId": instance_id})
        return _text_of(result)

    async def operate(self, item: pb.WorkItem) -> None:
        """Run a batch of operations of an entity."""
        batch, operations = helpers.convert_to_entity_batch_request(item.entityRequestV2)
        function = self._entities.get(EntityInstanceId.parse(batch.instanceId).entity.lower())
        if function is None:
            failure = pb.TaskFailureDetails(
                errorType="EntityFunctionNotFound",
                errorMessage=_unknown("entity", batch.instanceId),
                isNonRetriable=True,
            )
            failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
            response = pb.EntityBatchResult(entityState=batch.entityState, results=[failed] * len(operations))
        else:
            response = pb.EntityBatchResult.FromString(await self._exchange(function, batch))
        response.completionToken = item.completionToken
        response.operationInfos.extend(operations)
        await self._stub.CompleteEntityTask(response)

    async def _exchange(self, function: Function, request: pb.OrchestratorRequest | pb.EntityBatchRequest) -> bytes:
        """Hand a protobuf request to the worker in base64, which is how it answers too."""
        await self._faults.wait(function.name)
        encoded = base64.b64encode(request.SerializeToString()).decode()
        result = await self._worker.invoke(function, {function.trigger["name"]: TypedData(string=encoded)})
        return base64.b64decode(_text_of(result))


def _by_name(worker: Worker, trigger: str, key: str) -> dict[str, Function]:
    found = [function for function in worker.functions if function.trigger_type == trigger and not function.disabled]
    return {function.named(key): function for function in found}


def _orchestration_name(request: pb.OrchestratorRequest) -> str:
    events = [*request.pastEvents, *request.newEvents]
    return str(next(event.executionStarted.name for event in reversed(events) if event.HasField("executionStarted")))


def _unknown(kind: str, name: str) -> str:
    return f"The {kind} function '{name}' doesn't exist, is disabled, or is not an {kind} function."


def _failed_orchestration(failure: pb.TaskFailureDetails) -> pb.OrchestratorResponse:
    action = helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_FAILED, None, failure)
    return pb.OrchestratorResponse(actions=[action])


def _failure_of(error: InvocationError) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(
        errorType=error.error_type,
        errorMessage=error.message,
        stackTrace=helpers.get_string_value(error.stack_trace),
    )


def _text_of(result: TypedData | None) -> str:
    """Return a result as the JSON text that travels; bytes cannot."""
    kind = result.WhichOneof("data") if result is not None else None
    match kind:
        case None:
            return "null"
        case "string" | "json":
            return str(getattr(result, kind))
        case "int" | "double":
            return json.dumps(getattr(result, kind))
        case _:
            raise TypeError(f"a durable function's result cannot be of kind {kind}")
