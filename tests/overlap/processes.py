"""What processes in one process share, told apart: their clients, their clocks, and what they draw."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pkgutil import iter_modules
from typing import Any, override
from unittest.mock import patch

import activities
from activities import boundary
from keyturn.clock import Clock
from keyturn.resources import Resources
from tests.invariants import harness, migrating
from tests.overlap.harness import ACTING, Explored
from tests.overlap.in_process import SERVING, Services, SkippingLoop


@contextmanager
def in_one_process(services_state: Explored, loop: SkippingLoop) -> Iterator[None]:
    """Have activities take the clients of the process that they run in, and clocks show the time that was skipped."""
    unbroken = os.urandom

    async def resources() -> Resources:
        return ACTING.get().resources

    def drawn(size: int) -> bytes:
        worker = ACTING.get(None)
        if worker is None or worker.began is None or SERVING.get():
            return unbroken(size)
        return worker.chance[size].randbytes(size)

    def now(_: object = None) -> datetime:
        began = ACTING.get().began if ACTING.get(None) is not None else None
        if began is None:
            return services_state.now()
        return began[0] + timedelta(seconds=loop.skipped - began[1])

    class Later(datetime):
        """The time of day, as whoever asks for it directly gets it."""

        @classmethod
        @override
        def now(cls, tz: Any = None) -> Any:
            return now().astimezone(tz)

    modules = [importlib.import_module(f"activities.{found.name}") for found in iter_modules(activities.__path__)]
    with contextlib.ExitStack() as requests_of:
        for module in [*modules, harness, migrating]:
            if hasattr(module, "datetime"):
                requests_of.enter_context(patch.object(module, "datetime", Later))
        requests_of.enter_context(patch("os.urandom", drawn))
        requests_of.enter_context(patch("random._urandom", drawn))
        requests_of.enter_context(_process(services_state.services, loop, resources, now))
        yield


@contextmanager
def _process(services: Services, loop: SkippingLoop, resources: Any, now: Any) -> Iterator[None]:
    with (
        patch.object(boundary, "process_resources", resources),
        patch.object(Clock, "now", now),
        patch.object(Clock, "monotonic", lambda _: loop.time()),
        patch("local.key_vault.keys.generate_private_key", services.make_key),
    ):
        yield
