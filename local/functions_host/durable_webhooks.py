"""The durable extension's HTTP endpoints: status, raiseEvent, terminate and purge, with the system key."""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import json
from datetime import datetime
from typing import Any

import grpc
from aiohttp import web
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from local.functions_host.durable_binding import WEBHOOK_PATH
from local.functions_host.keys import Keys

RETRY_AFTER_SECONDS = "5"
TERMINAL = frozenset({"COMPLETED", "FAILED", "TERMINATED"})


class DurableWebhooks:
    """Answers below ``/runtime/webhooks/durabletask``."""

    def __init__(self, stub: Any, keys: Keys) -> None:
        self._stub = stub
        self._keys = keys

    def add_routes(self, app: web.Application) -> None:
        """Serve the endpoints, and 404 for the rest of the extension's path."""
        instance = f"{WEBHOOK_PATH}/instances/{{id}}"
        app.router.add_get(instance, self._status)
        app.router.add_delete(instance, self._purge)
        app.router.add_post(f"{instance}/raiseEvent/{{event}}", self._raise_event)
        app.router.add_post(f"{instance}/terminate", self._terminate)
        app.router.add_route("*", f"{WEBHOOK_PATH}{{rest:.*}}", self._unserved)

    async def _unserved(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.Response(status=404)

    async def _status(self, request: web.Request) -> web.Response:
        state = await self._find(request)
        query = request.query
        document = _document(state, show_input=query.get("showInput", "true").lower() != "false")
        if query.get("showHistory", "false").lower() == "true":
            document["historyEvents"] = await self._history(state.instanceId)
        if document["runtimeStatus"].upper() not in TERMINAL:
            headers = {"Location": str(request.url), "Retry-After": RETRY_AFTER_SECONDS}
            return web.json_response(document, status=202, headers=headers)
        failed = document["runtimeStatus"] == "Failed"
        as_error = failed and query.get("returnInternalServerErrorOnFailure", "").lower() == "true"
        return web.json_response(document, status=500 if as_error else 200)

    async def _history(self, instance_id: str) -> list[dict[str, Any]]:
        """Return the kinds and times of the current run's events; the real extension gives their payloads too."""
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        chunks = [chunk async for chunk in self._stub.StreamInstanceHistory(request)]
        events = [event for chunk in chunks for event in chunk.events]
        return [
            {"EventType": _upper_first(event.WhichOneof("eventType")), "Timestamp": _time(event.timestamp)}
            for event in events
        ]

    async def _raise_event(self, request: web.Request) -> web.Response:
        state = await self._find_live(request)
        if request.content_type != "application/json":
            return web.json_response({"Message": "Only application/json request content is supported"}, status=400)
        text = await request.text()
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            return web.json_response({"Message": "Invalid JSON content", "ExceptionMessage": str(error)}, status=400)
        name = request.match_info["event"]
        event = pb.RaiseEventRequest(instanceId=state.instanceId, name=name, input=helpers.get_string_value(text))
        try:
            await self._stub.RaiseEvent(event)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return web.json_response({"Message": error.details()}, status=400)
        return web.Response(status=202)

    async def _terminate(self, request: web.Request) -> web.Response:
        state = await self._find_live(request)
        reason = json.dumps(request.query.get("reason", ""))
        await self._stub.TerminateInstance(
            pb.TerminateRequest(instanceId=state.instanceId, output=helpers.get_string_value(reason))
        )
        return web.Response(status=202)

    async def _purge(self, request: web.Request) -> web.Response:
        self._check(request)
        asked = pb.PurgeInstancesRequest(instanceId=request.match_info["id"])
        purged: pb.PurgeInstancesResponse = await self._stub.PurgeInstances(asked)
        if not purged.deletedInstanceCount:  # unknown, or not ended yet
            raise web.HTTPNotFound
        return web.json_response({"instancesDeleted": purged.deletedInstanceCount})

    async def _find_live(self, request: web.Request) -> pb.OrchestrationState:
        state = await self._find(request)
        if _status_of(state) in TERMINAL:
            raise web.HTTPGone
        return state

    async def _find(self, request: web.Request) -> pb.OrchestrationState:
        self._check(request)
        found: pb.GetInstanceResponse = await self._stub.GetInstance(
            pb.GetInstanceRequest(instanceId=request.match_info["id"], getInputsAndOutputs=True)
        )
        if not found.exists:
            raise web.HTTPNotFound
        return found.orchestrationState

    def _check(self, request: web.Request) -> None:
        if not self._keys.opens_extension(request):
            raise web.HTTPUnauthorized


def _status_of(state: pb.OrchestrationState) -> str:
    return str(helpers.get_orchestration_status_str(state.orchestrationStatus))


def _document(state: pb.OrchestrationState, *, show_input: bool) -> dict[str, Any]:
    failure = state.failureDetails.errorMessage if state.HasField("failureDetails") else None
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": _status_of(state).title().replace("_", ""),
        "input": _value(state.input.value) if show_input else None,
        "customStatus": _value(state.customStatus.value),
        "output": failure or _value(state.output.value),
        "createdTime": _time(state.createdTimestamp),
        "lastUpdatedTime": _time(state.lastUpdatedTimestamp),
    }


def _value(text: str) -> Any:
    """Return the JSON value, the text itself where it is none, and None for nothing."""
    try:
        return json.loads(text) if text else None
    except json.JSONDecodeError:
        return text


def _time(moment: Any) -> str:
    utc: datetime = moment.ToDatetime()
    return f"{utc:%Y-%m-%dT%H:%M:%SZ}"


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]
