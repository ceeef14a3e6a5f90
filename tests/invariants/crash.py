"""I9: death at any moment: the process ends right after its n-th request to a service has had its effect."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import aiohttp


class Died(BaseException):
    """The process is no more; no error, because no handler of the app may catch it."""


class Requests:
    """Counts the requests of this process; after the n-th it is dead, and sends no more."""

    def __init__(self, last: int | None) -> None:
        self._last = last
        self.sent = 0

    @contextmanager
    def counted(self) -> Iterator["Requests"]:
        """Count, and die in time."""
        unbroken = aiohttp.ClientSession._request
        requests = self

        async def send(self: aiohttp.ClientSession, *arguments: Any, **options: Any) -> Any:
            if requests._last is not None and requests.sent >= requests._last:
                raise Died
            requests.sent += 1
            number = requests.sent
            answer = await unbroken(self, *arguments, **options)
            if number == requests._last:
                answer.close()
                raise Died
            return answer

        with patch.object(aiohttp.ClientSession, "_request", send):
            yield self
