"""Keeps calls to a vault within a rate, and slows down where the vault throttles; work a few things at a time.

What one caller uses of a vault's limits is missing to all others, live traffic included. The vault says when it is too
much (429) but not for how long, and the SDK does not repeat a throttled POST. Calls are spaced by a token bucket whose
rate halves when the vault throttles and grows back slowly, never above what the caller may take.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol

from field_encrypt.mek_errors import MekThrottledError, MekUnavailableError

BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)  # Microsoft's throttling guidance; here with full jitter
BURST_SECONDS = 1.0  # unused budget that may be caught up with, far below the vault's window of 10 s
DECREASE = 0.5
INCREASE = 0.02  # of the share, for each call that was not throttled
LOWEST = 0.05  # of the share: a caller that stopped would never learn that it may go on
CALM_SECONDS = 1.0  # throttled calls that were in flight together count once

Uniform = Callable[[float, float], float]
_uniform: Uniform = random.SystemRandom().uniform


class Clock(Protocol):
    """Time as far as a pace needs it."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        ...


class SystemClock:
    """The machine's own clock: the time of day, a time that only grows, and waiting."""

    def now(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        await asyncio.sleep(seconds)


class Pacer:
    """The pace of one caller; ``operations_per_second`` is its share, which it never exceeds."""

    def __init__(self, operations_per_second: float, clock: Clock, uniform: Uniform = _uniform) -> None:
        self.share = operations_per_second
        self.rate = operations_per_second
        self.operations = 0
        self.throttled = 0
        self._clock = clock
        self._uniform = uniform
        # When the next call may be made: none comes free with a new page.
        self._next = clock.monotonic() + 1 / self.rate
        self._decreased = -CALM_SECONDS

    async def acquire(self) -> None:
        """Wait until the next call may be made."""
        now = self._clock.monotonic()
        slot = max(self._next, now - BURST_SECONDS)
        self._next = slot + 1 / self.rate
        self.operations += 1
        if slot > now:
            await self._clock.sleep(slot - now)

    def succeeded(self) -> None:
        """Note that the vault took a call."""
        self.rate = min(self.share, self.rate + INCREASE * self.share)

    def slow_down(self) -> None:
        """Note that the vault throttled a call."""
        self.throttled += 1
        now = self._clock.monotonic()
        if now - self._decreased >= CALM_SECONDS:
            self._decreased = now
            self.rate = max(LOWEST * self.share, DECREASE * self.rate)

    async def back_off(self, attempt: int) -> None:
        """Wait before the next attempt at a call of which so many attempts (from 0) have failed."""
        await self._clock.sleep(self._uniform(0, BACKOFF_SECONDS[attempt]))

    async def call[T](self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call at this pace, again where it is throttled or gets no answer.

        Raises:
            MekThrottledError, MekUnavailableError: it was so in every attempt.
            MekError: the vault's refusal, which another attempt does not change.
        """
        attempt = 0
        while True:
            await self.acquire()
            try:
                answer = await call()
            except (MekThrottledError, MekUnavailableError) as error:
                if isinstance(error, MekThrottledError):
                    self.slow_down()
                if attempt == len(BACKOFF_SECONDS):
                    raise
                await self.back_off(attempt)
                attempt += 1
            else:
                self.succeeded()
                return answer


async def side_by_side[T](things: Iterable[T], settle: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Settle things side by side; the first failure ends it, once none is in flight any more."""
    failures: list[Exception] = []
    left = iter(things)

    async def work() -> None:
        for thing in left:
            if failures:
                return
            try:
                await settle(thing)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)

    await asyncio.gather(*(work() for _ in range(at_once)))
    if failures:
        raise failures[0]
