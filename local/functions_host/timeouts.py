"""``functionTimeout``: what runs for too long has its worker process ended and started again, as in Azure.

The worker runs in the host's process here, so the whole process is replaced by a new one of the same command. All that
runs is lost with it; the task hub hands its work out again. A thread watches, because what hangs may hang the event
loop. Source: "Function app time-out duration" in "Azure Functions scale and hosting".
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

LOOK_SECONDS = 0.1

_log = logging.getLogger("local.functions_host")


class Watchdog:
    """Knows what runs and since when; without a limit it watches nothing."""

    def __init__(self, limit: timedelta | None) -> None:
        self._limit = limit
        self._running: dict[object, tuple[float, str]] = {}  # deadline and function, by an object of each invocation
        self._command, self._folder = sys.orig_argv, os.getcwd()  # noqa: PTH109 - to go back there, not to make paths
        if limit is not None:
            threading.Thread(target=self._watch, args=(limit,), name="function-timeout", daemon=True).start()

    @contextlib.contextmanager
    def watching(self, function: str) -> Iterator[None]:
        """Hold the function to the limit while the context is open."""
        mark = object()
        if self._limit is not None:
            self._running[mark] = (time.monotonic() + self._limit.total_seconds(), function)
        try:
            yield
        finally:
            self._running.pop(mark, None)

    def _watch(self, limit: timedelta) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for deadline, function in list(self._running.values()):
                if deadline < now:
                    _log.error("Timeout value of %s exceeded by function %s: the worker starts again", limit, function)
                    self._start_again()

    def _start_again(self) -> None:
        os.chdir(self._folder)
        os.execv(sys.executable, self._command)  # noqa: S606 - our own command line; what is open is closed by it
