"""The heap of timers."""

import queue
import threading
from datetime import UTC, datetime, timedelta

from local.task_hub.timers import Timers


def test_actions_run_in_the_order_of_their_times() -> None:
    """An action that is scheduled later but due earlier runs earlier, and one that is overdue runs at once."""
    timers, ran = Timers(), queue.Queue[str]()
    timers.start()
    now = datetime.now(UTC)
    timers.schedule(now + timedelta(seconds=0.3), lambda: ran.put("late"))
    timers.schedule(now + timedelta(seconds=0.1), lambda: ran.put("early"))
    timers.schedule(now - timedelta(days=1), lambda: ran.put("overdue"))

    assert [ran.get(timeout=60) for _ in range(3)] == ["overdue", "early", "late"]


def test_waiting_timers_need_no_threads_of_their_own() -> None:
    """A thousand timers for tomorrow cost one thread."""
    before = threading.active_count()
    timers = Timers()
    timers.start()
    for _ in range(1000):
        timers.schedule(datetime.now(UTC) + timedelta(days=1), lambda: None)

    assert threading.active_count() == before + 1
