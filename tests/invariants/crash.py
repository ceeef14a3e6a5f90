"""I9: death at any moment: the process ends right after its n-th request to a service has had its effect."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import aiohttp
from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy

from field_encrypt.row_patches import RowPatch


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


def in_two_patches(between: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[CosmosDict]]:
    """Return a write of the label first, and of the rest in a second patch, with something between them."""

    async def send(self: RowPatch, container: ContainerProxy) -> CosmosDict:
        label = [operation for operation in self.operations if operation["path"] == "/mekVersion"]
        await container.patch_item(self.row.id, self.partition_key, label)
        await between()
        rest = [operation for operation in self.operations if operation not in label]
        return await container.patch_item(self.row.id, self.partition_key, rest)

    return send
