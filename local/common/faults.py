"""Fault injection for a local service: rules that are armed over HTTP and consumed by requests.

A rule names an operation (or ``*``) and one kind of fault:

* ``status``: answer with ``status`` (and ``body``, ``headers``) before anything happens;
* ``delay``: wait ``delayMs`` milliseconds, then go on;
* ``hold``: wait until the rule is cleared, then go on;
* ``reset_before``: close the connection before anything happens;
* ``reset_after``: do the work, then close the connection without an answer;
* any other kind belongs to the service, which asks for it with :meth:`Faults.take` (``throttle``, ``etag_race``).

Clearing takes all rules away, or with ``?kind=hold`` those of one kind: what was held then meets the other rules.

A rule fires ``count`` times (default 1; ``null`` for ever) after letting ``skip`` requests pass, or on each request
with ``probability`` drawn from a generator seeded with ``seed``, so that a run can be repeated.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, override

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OperationOf = Callable[[web.Request], str]

CONTROL_PREFIX = "/_control/"


class FaultRule(BaseModel):
    """One armed fault; see the module's text for its kinds."""

    model_config = ConfigDict(extra="forbid")

    operation: str = "*"
    kind: str
    count: int | None = 1
    skip: int = 0
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0
    match: str | None = None  # fires only where the request's path and query contain this text
    status: int = 503
    body: Any = None
    headers: dict[str, str] = Field(default_factory=dict)
    delayMs: float = 0  # noqa: N815 - JSON property of the control endpoint
    fired: int = 0

    _random: random.Random = PrivateAttr()
    _cleared: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def cleared(self) -> asyncio.Event:
        """Is set when the rule is taken away."""
        return self._cleared

    @override
    def model_post_init(self, _context: object, /) -> None:
        """Seed the rule's own generator, so that the same rule fires at the same requests."""
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose, no security rests on it

    def fires(self, operation: str, target: str) -> bool:
        """Tell whether this request is hit, and use the rule up accordingly."""
        if self.operation not in ("*", operation) or (self.match is not None and self.match not in target):
            return False
        if self.count is not None and self.fired >= self.count:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The armed rules of one service."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def take(self, kind: str, operation: str, target: str = "") -> FaultRule | None:
        """Return the first rule of this kind that hits the request, or None."""
        return next((rule for rule in self.rules if rule.kind == kind and rule.fires(operation, target)), None)

    async def wait(self, operation: str, target: str = "") -> None:
        """Let a request wait that a rule delays or holds."""
        if (rule := self.take("delay", operation, target)) is not None:
            await asyncio.sleep(rule.delayMs / 1000)
        if (rule := self.take("hold", operation, target)) is not None:
            await rule.cleared.wait()

    def middleware(self, operation_of: OperationOf) -> Any:
        """Return the aiohttp middleware that applies the general kinds."""

        @web.middleware
        async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(CONTROL_PREFIX) or not self.rules:
                return await handler(request)
            operation, target = operation_of(request), request.path_qs
            await self.wait(operation, target)
            if self.take("reset_before", operation, target) is not None:
                return _reset(request)
            if (rule := self.take("status", operation, target)) is not None:
                return web.json_response(rule.body, status=rule.status, headers=rule.headers)
            response = await handler(request)
            if self.take("reset_after", operation, target) is not None:
                return _reset(request)
            return response

        return apply

    def add_routes(self, app: web.Application) -> None:
        """Serve the control endpoint: list, arm and clear rules."""
        path = f"{CONTROL_PREFIX}faults"
        app.router.add_get(path, self._list)
        app.router.add_post(path, self._arm)
        app.router.add_delete(path, self._clear)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([rule.model_dump() for rule in self.rules])

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            rule = FaultRule.model_validate(await request.json())
        except (ValidationError, json.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        self.rules.append(rule)
        return web.json_response(rule.model_dump(), status=201)

    async def _clear(self, request: web.Request) -> web.Response:
        kind = request.query.get("kind")
        for rule in [rule for rule in self.rules if kind in (None, rule.kind)]:
            self.rules.remove(rule)
            rule.cleared.set()
        return web.Response(status=204)


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
