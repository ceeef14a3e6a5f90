"""The host's connection to the task hub."""
# mypy: allow-untyped-calls
# (grpc ships without types)

from typing import Any

import grpc
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

# What may be received is left at gRPC's own 4 MB, as between the real host and the Durable Task Scheduler.
MESSAGE_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),  # a hub that is started again is found at once
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def connect(address: str) -> tuple[grpc.aio.Channel, Any]:
    """Return a channel to the task hub and the stub of its service, whose methods are asynchronous."""
    channel = grpc.aio.insecure_channel(address, options=MESSAGE_OPTIONS)
    return channel, stubs.TaskHubSidecarServiceStub(channel)
