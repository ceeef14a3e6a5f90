"""The host's connection to the task hub."""
# mypy: allow-untyped-calls
# (grpc ships without types)

from typing import Any

import grpc
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

MESSAGE_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # a hub that is started again is found at once
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def connect(address: str) -> tuple[grpc.aio.Channel, Any]:
    """Return a channel to the task hub and the stub of its service, whose methods are asynchronous."""
    channel = grpc.aio.insecure_channel(address, options=MESSAGE_OPTIONS)
    return channel, stubs.TaskHubSidecarServiceStub(channel)
