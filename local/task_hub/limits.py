"""What the Durable Task Scheduler takes at most, and how what is larger fails here.

Its documentation ("Durable Task Scheduler", limitations) says 1 MB each for inputs, outputs, results, event data,
custom status and entity state. Its maintainers say (Azure/azure-functions-durable-extension, pull request 3077) that
its API checks the 1 MB, that it cannot be raised, and that the Functions host talks to it over a gRPC channel with
gRPC's own limit of 4 MB a message. What the service does with a worker's answer that it refuses is not documented.
Refusing the call alone makes the worker give its work back and do it again, for ever; so the work ends here, with a
failure.
"""
# mypy: allow-untyped-calls
# (protobuf ships without types)

from collections.abc import Iterator

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

PAYLOAD_BYTES = 1024 * 1024
MESSAGE_BYTES = 4 * 1024 * 1024  # gRPC's default for what a client receives


def payload_failure(message: Message) -> pb.TaskFailureDetails | None:
    """Return the failure of a message that holds a text over the limit, or None."""
    path, size = max(_texts(message), key=lambda found: found[1], default=("", 0))
    if size <= PAYLOAD_BYTES:
        return None
    return _failure("PayloadTooLarge", f"{path} has {size} bytes; the Durable Task Scheduler takes {PAYLOAD_BYTES}.")


def message_failure(what: str, message: Message) -> pb.TaskFailureDetails | None:
    """Return the failure of a message that no channel to the scheduler carries, or None."""
    size = message.ByteSize()
    if size <= MESSAGE_BYTES:
        return None
    return _failure("MessageTooLarge", f"{what} has {size} bytes; a message to or from the hub has {MESSAGE_BYTES}.")


def history_failure(events: int, limit: int) -> pb.TaskFailureDetails:
    """Return the failure of a run with too many events."""
    return _failure("HistorySizeExceeded", f"The history would have {events} events; the task hub keeps {limit} a run.")


def failed_turn(instance_id: str, token: str, failure: pb.TaskFailureDetails) -> pb.OrchestratorResponse:
    """Return the answer to a turn that ends the instance with this failure."""
    failed = helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_FAILED, None, failure)
    return pb.OrchestratorResponse(instanceId=instance_id, completionToken=token, actions=[failed])


def _failure(error_type: str, text: str) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(errorType=error_type, errorMessage=text, isNonRetriable=True)


def _texts(message: Message, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield the path and size of every text in the message; a payload is a text, or the ``value`` of a wrapper."""
    for field, value in message.ListFields():
        name = f"{path}.{field.name}".lstrip(".")
        if field.type == FieldDescriptor.TYPE_STRING:
            for text in [value] if isinstance(value, str) else value:
                yield name.removesuffix(".value"), len(text.encode())
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for part in [value] if isinstance(value, Message) else value:
                yield from _texts(part, name)
