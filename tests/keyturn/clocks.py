"""A clock that a test winds: waiting takes no time, and the clock shows that it was waited."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import override

from keyturn.clock import Clock


class ManualClock(Clock):
    """Starts at a fixed time; only waiting and :meth:`advance` move it."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.slept: list[float] = []

    @override
    def now(self) -> datetime:
        """Return the time of day."""
        return datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    @override
    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self.elapsed

    @override
    async def sleep(self, seconds: float) -> None:
        """Move on by so many seconds, and let others run."""
        self.slept.append(seconds)
        self.elapsed += seconds
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move on as if work had taken so long."""
        self.elapsed += seconds
