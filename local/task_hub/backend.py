"""The task hub's gRPC service: how it listens, how it streams work, and what it lets a client do.

What a client may do follows the durable extension of the real Functions host (its ``TaskHubGrpcServer``), which is what
an app's durable client talks to in Azure.
"""
# mypy: allow-untyped-calls
# (grpc and protobuf ship without types)

import logging
import random
from collections.abc import Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, override

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import OrchestrationInstance
from google.protobuf.message import Message

from local.common.serve import LOOPBACK
from local.task_hub.entities import EntityLeases
from local.task_hub.generations import HISTORY_LIMIT
from local.task_hub.history import history_of
from local.task_hub.limits import payload_failure
from local.task_hub.workers import LOCK_SECONDS, Worker

THREADS = 64  # each stream of work and each waiting client holds one
POLL_SECONDS = 1.0  # how often a stream without work looks whether the hub is being stopped
INSTANCE_ID_LIMIT = 100  # of the Durable Task Scheduler, printable ASCII
REPEATED_AFTER_SECONDS = (0.0, 0.05, 0.5, 2.0)  # at once, within a turn or a few, or long after
MESSAGE_OPTIONS = (  # what is too large is told by its own failure, not by a channel that breaks
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second hub on the same port must fail, not share it
)

_log = logging.getLogger(__name__)


class TaskHub(EntityLeases):
    """The fixed backend as a server on loopback; with a seed, every external event arrives twice."""

    def __init__(
        self,
        *,
        port: int,
        history_limit: int = HISTORY_LIMIT,
        lock_seconds: float = LOCK_SECONDS,
        duplicate_events: int | None = None,
    ) -> None:
        super().__init__(port=port, history_limit=history_limit, lock_seconds=lock_seconds)
        seeded = random.Random(duplicate_events)  # noqa: S311 - repeatable on purpose, no security rests on it
        self._repeats = seeded if duplicate_events is not None else None

    @override
    def start(self) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS), options=MESSAGE_OPTIONS)
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, server)
        address = f"{LOOPBACK}:{self._port}"
        server.add_insecure_port(address)
        server.start()
        self._server = server
        return address

    @override
    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext) -> Iterator[pb.WorkItem]:
        worker = Worker(request, self._parse_work_item_filters(request))
        with self._lock:
            self._workers.append(worker)
        if not context.add_callback(lambda: self._release(worker)):  # the call has ended already
            self._release(worker)
            return
        context.send_initial_metadata(())  # tells the worker that it is connected before there is work
        while (item := self._next_item(worker)) is not None:
            yield item

    def _next_item(self, worker: Worker) -> pb.WorkItem | None:
        with self._work:
            while not worker.closed and not self._shutdown_event.is_set():
                for silent in self._silent_workers():
                    self._release(silent)
                if worker.closed:
                    break
                item = self._take_orchestration(worker) or self._take_activity(worker) or self._take_entity(worker)
                if item is not None:
                    return item
                self._work.wait(POLL_SECONDS)
        return None

    def _release(self, worker: Worker) -> None:
        """Queue everything again that the worker held."""
        with self._work:
            if worker.closed:
                return
            worker.closed = True
            self._workers.remove(worker)
            if worker.held:
                _log.warning("A worker is gone; %d work items of it are handed out again", worker.held)
            for instance_id in worker.orchestrations:
                self._requeue_orchestration(self._instances[instance_id])
            for token in worker.activities:
                self._requeue_activity(token)
            for entity_id in worker.entities:
                self._requeue_entity(self._entities[entity_id])
            self._work.notify_all()

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        """Start an instance; an id whose instance has ended may be used again, as the host's default has it.

        A live instance is never replaced, whatever the reuse policy lists: the real service may end it for that.
        """
        _check_instance_id(request.instanceId, context)
        _check_payload(request, context)
        if request.HasField("scheduledStartTimestamp"):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "scheduled starts are not served by the local task hub")
        with self._lock:
            existing = self._instances.get(request.instanceId)
            if existing is not None:
                allowed = request.orchestrationIdReusePolicy.replaceableStatus
                if not self._is_terminal_status(existing.status) or (allowed and existing.status not in allowed):
                    _abort_exists(existing, context)
                del self._instances[request.instanceId]
            return super().StartInstance(request, context)

    @override
    def RaiseEvent(self, request: pb.RaiseEventRequest, context: grpc.ServicerContext) -> pb.RaiseEventResponse:
        _check_payload(request, context)
        with self._lock:
            self._check_live(request.instanceId, context)
            self._execution_of(self._instances[request.instanceId]).events_sent += 1
            if self._repeats is not None:
                delay = timedelta(seconds=self._repeats.choice(REPEATED_AFTER_SECONDS))
                self._timers.schedule(datetime.now(UTC) + delay, lambda: self._raise_again(request, context))
            return super().RaiseEvent(request, context)

    def _raise_again(self, request: pb.RaiseEventRequest, context: grpc.ServicerContext) -> None:
        """Deliver an event a second time, to whichever instance has the id by then; its caller was answered."""
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance is not None and not self._is_terminal_status(instance.status):
                super().RaiseEvent(request, context)

    @override
    def TerminateInstance(self, request: pb.TerminateRequest, context: grpc.ServicerContext) -> pb.TerminateResponse:
        _check_payload(request, context)
        with self._lock:
            self._check_live(request.instanceId, context)
            return super().TerminateInstance(request, context)

    @override
    def SignalEntity(self, request: pb.SignalEntityRequest, context: grpc.ServicerContext) -> pb.SignalEntityResponse:
        _check_payload(request, context)
        return super().SignalEntity(request, context)

    def instance_ids(self) -> list[str]:
        """Return the ids of all instances, oldest first."""
        with self._lock:
            return list(self._instances)

    def history(self, instance_id: str) -> dict[str, Any] | None:
        """Return what :func:`history_of` tells of the instance, or None where there is none."""
        with self._lock:
            instance = self._instances.get(instance_id)
            return None if instance is None else history_of(self._execution_of(instance))

    def _check_live(self, instance_id: str, context: grpc.ServicerContext) -> None:
        instance = self._instances.get(instance_id)
        if instance is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"No instance with ID '{instance_id}' was found.")
        elif self._is_terminal_status(instance.status):
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "The orchestration instance with the provided instance id is not running.",
            )


def _check_payload(request: Message, context: grpc.ServicerContext) -> None:
    if (failure := payload_failure(request)) is not None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, failure.errorMessage)


def _check_instance_id(instance_id: str, context: grpc.ServicerContext) -> None:
    if len(instance_id) > INSTANCE_ID_LIMIT or instance_id.startswith("@") or not _printable_ascii(instance_id):
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"An instance ID has at most {INSTANCE_ID_LIMIT} printable ASCII characters and does not start with '@'.",
        )


def _printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _abort_exists(instance: OrchestrationInstance, context: grpc.ServicerContext) -> NoReturn:
    context.abort(
        grpc.StatusCode.ALREADY_EXISTS, f"An Orchestration instance with the ID {instance.instance_id} already exists."
    )
    raise AssertionError("abort() raises")
