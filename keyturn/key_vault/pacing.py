"""Keeps a caller within its share of what the vault admits.

"Azure Key Vault service limits" (learn.microsoft.com/azure/key-vault/general/service-limits) are on the weighted sum of
transactions per vault and region in 10 seconds: what one caller uses is missing to all others, live traffic included.
Managed HSM has no such limits and is not listed.

The vault says when it is too much (429) but not for how long, and the SDK does not repeat a throttled POST. Calls are
spaced by a token bucket whose rate halves when the vault throttles and grows back slowly, never above the share.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import MekThrottledError, MekUnavailableError
from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from keyturn.clock import Clock
from keyturn.errors import OperatorError
from keyturn.key_vault.errors import keyturn_error, vault_failures

WINDOW_SECONDS = 10
BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)  # Microsoft's throttling guidance; here with full jitter
BURST_SECONDS = 1.0  # unused budget that may be caught up with, far below the vault's window of 10 s
DECREASE = 0.5
INCREASE = 0.02  # of the share, for each call that was not throttled
LOWEST = 0.05  # of the share: a caller that stopped would never learn that it may go on
CALM_SECONDS = 1.0  # throttled calls that were in flight together count once

Uniform = Callable[[float, float], float]
_uniform: Uniform = random.SystemRandom().uniform


class Limit(NamedTuple):
    """Operations in one window: creations, and everything else (get, list, update, wrap, unwrap)."""

    create: int
    other: int


LIMITS: Mapping[tuple[str, int], Limit] = {
    ("RSA", 2048): Limit(create=20, other=4000),
    ("RSA", 3072): Limit(create=20, other=1000),
    ("RSA", 4096): Limit(create=20, other=500),
    ("RSA-HSM", 2048): Limit(create=10, other=2000),
    ("RSA-HSM", 3072): Limit(create=10, other=500),
    ("RSA-HSM", 4096): Limit(create=10, other=250),
}


def operations_per_second(key_type: str, key_size: int, share: float) -> float:
    """Return the operations a second of a share (above 0, to 1); raises OperatorError where no limit is published."""
    limit = LIMITS.get((key_type, key_size))
    if limit is None:
        raise OperatorError(
            f"no limit is published for keys of type {key_type} and {key_size} bits",
            keyType=key_type,
            keySize=key_size,
            known=[f"{kind} {size}" for kind, size in LIMITS],
        )
    return limit.other * share / WINDOW_SECONDS


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


@dataclass(frozen=True, slots=True)
class PacedVault:
    """What a page needs of the vault, at the pace of one caller."""

    mek: MekClient
    pacer: Pacer

    async def fetch_version(self, version: str) -> MekVersion:
        """Fetch a version as it is now; raises KeyturnError of the kind that the failure means."""
        await self.pacer.acquire()
        with vault_failures("get", self.mek.mek_name, version):
            return await self.mek.fetch_version(version)

    async def enabled_versions(self) -> list[str]:
        """List the ids of the enabled versions, newest first; raises KeyturnError as the failure means."""
        await self.pacer.acquire()
        with vault_failures("list versions", self.mek.mek_name):
            listed = await self.mek.list_versions()
        newest_first = sorted(listed, key=MekVersionProperties.age_order, reverse=True)
        return [found.version for found in newest_first if found.enabled]

    async def unwrap(self, wrapped: bytes, version: str, algorithm: str) -> bytes:
        """Have the vault unwrap, again where it is throttled or does not answer.

        Raises:
            MekError: the vault's refusal of this row, which another attempt does not change.
            UnavailableError: it was throttled or away in every attempt.
        """
        return await self.with_retries(lambda: self.mek.unwrap(wrapped, version, algorithm))

    async def with_retries[T](self, unwrap: Callable[[], Awaitable[T]]) -> T:
        """Make one unwrap at the caller's pace; raises as :meth:`unwrap` does."""
        attempt = 0
        while True:
            await self.pacer.acquire()
            try:
                unwrapped = await unwrap()
            except (MekThrottledError, MekUnavailableError) as error:
                if isinstance(error, MekThrottledError):
                    self.pacer.slow_down()
                if attempt == len(BACKOFF_SECONDS):
                    raise keyturn_error(error, "unwrap") from error
                await self.pacer.back_off(attempt)
                attempt += 1
            else:
                self.pacer.succeeded()
                return unwrapped
