"""A provider that waits and tries again while the vault is throttling or away, for traffic that can wait a little.

Key Vault counts in windows of ten seconds and says no time to wait for. The waits double from a quarter of a second
and are drawn at random up to their bound, so that callers that were throttled together do not come back together.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import override

from field_encrypt.dek import Dek
from field_encrypt.errors import RetryError
from field_encrypt.provider import MekProvider
from field_encrypt.rows import WrappedDek

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 4.0  # at least two tries in each of the windows


class RetryingProvider(MekProvider):
    """Another provider, tried again for at most ``patience_seconds`` a call."""

    def __init__(self, provider: MekProvider, *, patience_seconds: float = 30.0) -> None:
        self._provider = provider
        self._patience_seconds = patience_seconds

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap, waiting out what a later try can fix.

        Raises:
            MekError: the last failure when the time is over, or one that waiting does not fix.
        """
        return await self._with_retries(lambda: self._provider.wrap(dek))

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Unwrap, waiting out what a later try can fix.

        Raises:
            MekError: the last failure when the time is over, or one that waiting does not fix.
        """
        return await self._with_retries(lambda: self._provider.unwrap(wrapped))

    async def _with_retries[T](self, call: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + self._patience_seconds
        bound = FIRST_WAIT_SECONDS
        while True:
            try:
                return await call()
            except RetryError:
                wait = random.uniform(0, bound)  # noqa: S311 - spreads load, protects nothing
                if time.monotonic() + wait > deadline:
                    raise
            await asyncio.sleep(wait)
            bound = min(bound * 2, LONGEST_WAIT_SECONDS)
