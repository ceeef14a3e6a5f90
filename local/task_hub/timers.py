"""Timers of the task hub: one heap and one thread, however many timers are waiting and however long."""

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime

Action = Callable[[], None]

LONGEST_WAIT_SECONDS = 60.0  # so that a clock that is set forward is noticed


class Timers:
    """Runs each action once its time has come, in the order of their times."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Action]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="task-hub-timers", daemon=True)

    def start(self) -> None:
        """Start the thread that runs due actions."""
        self._thread.start()

    def schedule(self, at: datetime, action: Action) -> None:
        """Run the action at the given time (aware), or at once if that has passed."""
        with self._changed:
            heapq.heappush(self._waiting, (at, next(self._order), action))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            self._next()()

    def _next(self) -> Action:
        with self._changed:
            while True:
                if not self._waiting:
                    self._changed.wait()
                    continue
                seconds = (self._waiting[0][0] - datetime.now(UTC)).total_seconds()
                if seconds <= 0:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(min(seconds, LONGEST_WAIT_SECONDS))
