"""Reads containers through their change feeds, some pages a call, and goes on in another call from a token.

The token is the caller's to keep: it says where the scan stands, and nothing else. A made-up one is refused.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from azure.cosmos.aio import ContainerProxy

from keyturn.contracts.base import Payload
from keyturn.cosmos.client import list_feed_ranges, read_feed_page
from keyturn.errors import InvalidRequestError, OperatorError, TransientError

ITEMS_PAGE = 100


class _Position(Payload):
    """Where a scan stands; a range is the JSON text of a feed range."""

    kind: str
    container: str
    range: str
    cursor: str | None = None

    def token(self) -> str:
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode()

    @classmethod
    def parse(cls, token: str, kind: str) -> "_Position":
        try:
            position = cls.model_validate_json(base64.urlsafe_b64decode(token))
        except ValueError:
            position = None
        if position is None or position.kind != kind:
            raise _no_token()
        return position


def _no_token() -> InvalidRequestError:
    return InvalidRequestError.expected("token", "the token of an earlier answer of the same kind")


@contextmanager
def _mistakes_of(given: _Position | None) -> Iterator[None]:
    """Raise InvalidRequestError where the SDK, or the service, trips over a position that a caller has given."""
    try:
        yield
    except (OperatorError, TransientError):
        raise
    except Exception as error:
        if given is None:
            raise
        raise _no_token() from error


class FeedScan:
    """A scan of one kind over these containers, by their names; the kind keeps tokens of different scans apart."""

    def __init__(self, kind: str, containers: Mapping[str, ContainerProxy]) -> None:
        self._kind = kind
        self._containers = dict(containers)
        self._given: _Position | None = None
        self._position: _Position | None = None

    async def begin(self, token: str | None) -> None:
        """Stand at the beginning, or where the token says; raises InvalidRequestError for what is no token of it."""
        if token is None:
            self._position = await self._first_of(list(self._containers))
            return
        self._position = self._given = _Position.parse(token, self._kind)
        if self._position.container not in self._containers:
            raise InvalidRequestError.expected("token", f"one whose container is among {', '.join(self._containers)}")

    @property
    def token(self) -> str | None:
        """Where the scan goes on, or None at its end."""
        return None if self._position is None else self._position.token()

    async def next_page(self) -> tuple[str, list[dict[str, Any]]]:
        """Return some more items and their container's name; not to be called at the end.

        Raises:
            InvalidRequestError: the token was not one of this scan's.
            KeyturnError: of the kind that a failure means.
        """
        position = self._position
        if position is None:
            raise InvalidRequestError.expected("token", "none: the scan has come to its end")
        container = self._containers[position.container]
        with _mistakes_of(position if position is self._given else None):
            page = await read_feed_page(container, position.range, position.cursor, ITEMS_PAGE)
            following = await self._following(position) if page.drained else None
        self._position = following if page.drained else position.model_copy(update={"cursor": page.cursor})
        return position.container, page.items

    async def _first_of(self, containers: list[str]) -> _Position | None:
        if not containers:
            return None
        ranges = await list_feed_ranges(self._containers[containers[0]])
        return _Position(kind=self._kind, container=containers[0], range=ranges[0])

    async def _following(self, position: _Position) -> _Position | None:
        """Return the next range, the next container's first, or None; ranges may have been split meanwhile."""
        reached = json.loads(position.range)["Range"]["max"]
        for feed_range in await list_feed_ranges(self._containers[position.container]):
            if json.loads(feed_range)["Range"]["min"] >= reached:
                return position.model_copy(update={"range": feed_range, "cursor": None})
        names = list(self._containers)
        return await self._first_of(names[names.index(position.container) + 1 :])
