"""Time as the core sees it: a test passes another clock, so that nothing that waits makes it wait."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import override


class Clock:
    """The machine's own clock: the time of day, a time that only grows, and waiting."""

    def now(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow; only differences mean anything."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        await asyncio.sleep(seconds)


class CorrectedClock(Clock):
    """The clock of a machine that is this much ahead; a negative time says behind."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    @override
    def now(self) -> datetime:
        return super().now() - self._ahead
