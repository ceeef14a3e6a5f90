"""What the control endpoint tells of an instance: every event of every run, with kind, size, id, time and content."""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

from typing import Any

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.json_format import MessageToDict

from local.task_hub.generations import Execution


def history_of(execution: Execution) -> dict[str, Any]:
    """Return the instance's state and the histories of all its runs, the current one last."""
    instance = execution.instance
    runs = [*execution.past, (execution.execution_id, instance.history)]
    return {
        "instanceId": instance.instance_id,
        "name": instance.name,
        "status": helpers.get_orchestration_status_str(instance.status),
        "input": instance.input,
        "output": instance.output,
        "customStatus": instance.custom_status,
        "eventsSent": execution.events_sent,
        "generations": [_run(number, *run) for number, run in enumerate(runs)],
    }


def _run(number: int, execution_id: str, events: list[pb.HistoryEvent]) -> dict[str, Any]:
    return {
        "generation": number,
        "executionId": execution_id,
        "bytes": sum(event.ByteSize() for event in events),
        "events": [_event(event) for event in events],
    }


def _event(event: pb.HistoryEvent) -> dict[str, Any]:
    kind = event.WhichOneof("eventType")
    return {
        "kind": kind,
        "bytes": event.ByteSize(),
        "eventId": event.eventId,
        "timestamp": event.timestamp.ToJsonString(),
        "content": MessageToDict(getattr(event, kind)),
    }
