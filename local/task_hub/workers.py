"""The workers that are connected, and what each of them holds."""

import threading
from dataclasses import dataclass, field
from typing import Any, override

from durabletask.internal import orchestrator_service_pb2 as pb

from local.task_hub.generations import HISTORY_LIMIT, GenerationalBackend


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
    closed: bool = False


def full(held: set[str], limit: int) -> bool:
    """Tell whether a worker holds as much as it takes at once."""
    return limit > 0 and len(held) >= limit


class WorkerRegistry(GenerationalBackend):
    """The backend with a list of the connected workers, and a condition that wakes them when there is work."""

    def __init__(self, *, port: int, history_limit: int = HISTORY_LIMIT) -> None:
        super().__init__(port=port, history_limit=history_limit)
        self._work = threading.Condition(self._lock)
        self._work_available = WorkSignal(self._work)
        self._workers: list[Worker] = []

    def _new_token(self) -> int:
        self._next_completion_token += 1
        return self._next_completion_token - 1
