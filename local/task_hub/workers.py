"""The workers that are connected, what each of them holds, and for how long without a word.

A worker that holds work and is not heard from for the lock's time loses all of it, and its stream: it may be frozen, or
cut off, and live on. In Azure the Functions host renews the locks of what it runs, so that work may take longer than a
lock lasts; here a host calls ``Hello`` for that, with its worker's id. Every completion counts as a word as well.
"""
# mypy: allow-untyped-calls
# (grpc ships without types)

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, override

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb

from local.task_hub.generations import HISTORY_LIMIT, GenerationalBackend

# Seconds. The scheduler's own is not published; this is what the Azure Storage provider has by default
# (``workItemQueueVisibilityTimeout``).
LOCK_SECONDS = 300.0
WORKER_ID = "worker-instance-id"  # metadata of a call by which a worker renews its locks

_log = logging.getLogger(__name__)


class WorkSignal(threading.Event):
    """What the base class sets when there is work: wakes the streams that wait on the condition."""

    def __init__(self, condition: threading.Condition) -> None:
        super().__init__()
        self._condition = condition

    @override
    def set(self) -> None:
        super().set()
        with self._condition:
            self._condition.notify_all()


@dataclass(eq=False)
class Worker:
    """One ``GetWorkItems`` stream: what it takes, how much at once (0: any number), and what it holds."""

    request: pb.GetWorkItemsRequest
    filters: tuple[Any, Any, Any]  # orchestrations, activities, entities; None takes everything
    orchestrations: set[str] = field(default_factory=set)  # instance ids
    activities: set[str] = field(default_factory=set)  # completion tokens
    entities: set[str] = field(default_factory=set)  # entity ids
    heard_at: float = field(default_factory=time.monotonic)
    closed: bool = False

    @property
    def held(self) -> int:
        """How many work items it holds."""
        return len(self.orchestrations) + len(self.activities) + len(self.entities)

    def take(self, held: set[str], key: str) -> None:
        """Note a work item that is handed out to it; the lock of the first one begins now."""
        if not self.held:
            self.heard_at = time.monotonic()
        held.add(key)


def full(held: set[str], limit: int) -> bool:
    """Tell whether a worker holds as much as it takes at once."""
    return limit > 0 and len(held) >= limit


class WorkerRegistry(GenerationalBackend):
    """The backend with a list of the connected workers, and a condition that wakes them when there is work."""

    def __init__(self, *, port: int, history_limit: int = HISTORY_LIMIT, lock_seconds: float = LOCK_SECONDS) -> None:
        super().__init__(port=port, history_limit=history_limit)
        self._lock_seconds = lock_seconds
        self._work = threading.Condition(self._lock)
        self._work_available = WorkSignal(self._work)
        self._workers: list[Worker] = []

    def _new_token(self) -> int:
        self._next_completion_token += 1
        return self._next_completion_token - 1

    @override
    def Hello(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer, and renew the locks of the worker that the call names."""
        named = dict(context.invocation_metadata()).get(WORKER_ID)
        with self._work:
            for worker in self._workers:
                if named and worker.request.worker_instance_id == named:
                    worker.heard_at = time.monotonic()
        return super().Hello(request, context)

    def _settle(self, worker: Worker, held: set[str], key: str) -> None:
        """End the lease of a work item, whose worker has thereby been heard."""
        held.discard(key)
        worker.heard_at = time.monotonic()
        self._work.notify_all()

    def _silent_workers(self) -> list[Worker]:
        """Return the workers whose locks have run out."""
        since = time.monotonic() - self._lock_seconds
        silent = [worker for worker in self._workers if worker.held and worker.heard_at < since]
        if silent:
            _log.warning("%d workers were silent for %s s: their locks have run out", len(silent), self._lock_seconds)
        return silent
