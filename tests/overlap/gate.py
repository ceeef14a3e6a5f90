"""Stops one run of an activity at one of its requests, as if its worker froze there; and starts it from there again.

A run that was stopped once can be had again at the same place, in another world: its requests up to there get the
answers that they got, and reach no service (:meth:`Gate.replaying`).
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import override

from tests.overlap.in_process import Answer, Request

QUIET_TURNS = 25  # of the loop, in which nothing was sent and nothing came back


@dataclass(frozen=True)
class Stop:
    """Where a run is stopped: before its request of this number is sent, or when the service has taken it."""

    number: int
    taken: bool = False

    @override
    def __str__(self) -> str:
        return f"{'after' if self.taken else 'before'} request {self.number}"


class Gate:
    """What the requests of one run pass through."""

    def __init__(self, stop: Stop | None = None) -> None:
        self._stop = stop
        self._open = asyncio.Event()
        self._known: dict[str, deque[tuple[Answer, bool]]] | None = None
        self._in_flight = 0
        self._events = 0
        self.stopped = False
        self.sent: list[Request] = []
        self.answers: dict[int, Answer] = {}

    def replaying(self) -> "Gate":
        """Return a gate that gives the answers which this one has let through, and stops where this one stopped."""
        again = Gate()
        again._known = defaultdict(deque)
        for number in sorted(self.answers):
            held = self._stop == Stop(number, taken=True)
            again._known[self.sent[number].about].append((self.answers[number], held))
        return again

    def copy_answers(self) -> None:
        """Forget what comes from now on: called where the run is stopped, before it goes on."""
        self.answers = dict(self.answers)

    async def carry(self, request: Request, answer: Callable[[Request], Awaitable[Answer]]) -> Answer:
        """Let a request through, or hold it."""
        self._events += 1
        if self._known is not None and not self._open.is_set():
            return await self._again(request, answer)
        number = len(self.sent)
        self.sent.append(request)
        if self.stopped or self._stop == Stop(number):
            await self._hold()
        self._in_flight += 1
        try:
            given = await answer(request)
        finally:
            self._in_flight -= 1
            self._events += 1
        self.answers[number] = given
        if self._stop == Stop(number, taken=True):
            await self._hold()
        return given

    async def _again(self, request: Request, answer: Callable[[Request], Awaitable[Answer]]) -> Answer:
        assert self._known is not None
        number = len(self.sent)
        self.sent.append(request)
        if known := self._known[request.about]:
            given, held = known.popleft()
            await (self._hold() if held else asyncio.sleep(0))
            return given
        await self._hold()
        self.answers[number] = await answer(request)
        return self.answers[number]

    async def _hold(self) -> None:
        self.stopped = True
        await self._open.wait()

    async def until_stopped(self, run: asyncio.Task[object]) -> bool:
        """Wait until nothing of the run goes on; tells whether it was stopped, for it may have ended before."""
        quiet, seen = 0, -1
        while not run.done() and quiet < QUIET_TURNS:
            if self._in_flight or seen != self._events or not self.stopped:
                quiet, seen = 0, self._events
                # Where it waits for time and for nothing else, the loop lets that time pass.
                await asyncio.sleep(0 if self._in_flight or quiet or self.stopped else 0.001)
            else:
                quiet += 1
                await asyncio.sleep(0)
        return not run.done()

    def same_as(self, other: "Gate", since: int) -> int:
        """Return the number of the first request, from this one on, that was not a read with the same answer there."""
        for number in range(since, min(len(self.sent), len(other.sent))):
            here, there = self.sent[number], other.sent[number]
            if here.about != there.about or number not in self.answers or number not in other.answers:
                return number
            mine, others = self.answers[number], other.answers[number]
            if here.writes and HTTPStatus(mine.status).is_success:
                return number
            # What was unwrapped follows from the request, and that from earlier answers or from a DEK of its own.
            unwrapped = here.about.endswith("/unwrapkey") and mine.status == others.status == HTTPStatus.OK
            if mine.content != others.content and not unwrapped:
                return number
        return min(len(self.sent), len(other.sent))

    def go_on(self) -> None:
        """Let everything through from now on."""
        self._open.set()
        self._stop = None
        self.stopped = False
