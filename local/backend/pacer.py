"""Does something so many times a second, at a rate that may change at any moment."""

import asyncio
from collections.abc import Awaitable, Callable

MAX_IN_FLIGHT = 50  # a service that has come to a stand must not collect work without end


class Pacer:
    """Starts ``act`` at a rate; ``act`` handles its own failures."""

    def __init__(self, act: Callable[[], Awaitable[None]], per_second: float) -> None:
        self._act = act
        self._per_second = per_second
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    def set_rate(self, per_second: float) -> None:
        """Go on at another rate; 0 pauses."""
        self._per_second = per_second
        self._changed.set()

    async def run(self) -> None:
        """Go on until cancelled; what is in flight is cancelled too."""
        clock = asyncio.get_running_loop().time
        due = clock()
        async with asyncio.TaskGroup() as tasks:
            while True:
                # What was missed while the slots were taken is not made up for by a burst.
                due = max(due, clock() - 1) + (1 / self._per_second if self._per_second > 0 else float("inf"))
                if await self._interrupted(due - clock()):
                    due = clock()
                    continue
                await self._slots.acquire()
                tasks.create_task(self._do())

    async def _do(self) -> None:
        try:
            await self._act()
        finally:
            self._slots.release()

    async def _interrupted(self, seconds: float) -> bool:
        """Wait, and tell whether the rate changed meanwhile."""
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), None if seconds == float("inf") else seconds)
        except TimeoutError:
            return False
        return True
