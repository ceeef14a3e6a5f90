"""The vault's transaction limits, weighted: an operation on a larger key uses up more of the same ten seconds.

Source: "Azure Key Vault service limits". For software keys in one vault within 10 s: 20 creations of any size, and of
all other operations 4000 on RSA-2048, 1000 on RSA-3072 or 500 on RSA-4096, enforced on their weighted sum.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LimitTable:
    """How many operations a window admits; ``other`` is by key size in bits."""

    window_seconds: float
    create: int
    other: Mapping[int, int]


SERVICE_LIMITS = LimitTable(window_seconds=10, create=20, other={2048: 4000, 3072: 1000, 4096: 500})


class _Window:
    """A sliding window over a sum of weights.

    Sliding is stricter than the fixed windows that the service may use: no burst across a boundary passes.
    """

    def __init__(self, seconds: float, capacity: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._admitted: deque[tuple[float, int]] = deque()
        self._sum = 0

    def admit(self, weight: int) -> bool:
        now = self._clock()
        while self._admitted and self._admitted[0][0] <= now - self._seconds:
            self._sum -= self._admitted.popleft()[1]
        if self._sum + weight > self._capacity:
            return False
        self._admitted.append((now, weight))
        self._sum += weight
        return True


class Limits:
    """Admits or refuses operations; a refused one does not count."""

    def __init__(self, table: LimitTable, clock: Callable[[], float] = time.monotonic) -> None:
        capacity = math.lcm(*table.other.values())
        self._weights = {size: capacity // count for size, count in table.other.items()}
        self._other = _Window(table.window_seconds, capacity, clock)
        self._create = _Window(table.window_seconds, table.create, clock)

    def admit_create(self) -> bool:
        """Tell whether a key may be created now."""
        return self._create.admit(1)

    def admit(self, key_size: int) -> bool:
        """Tell whether an operation on a key of this size in bits may run now."""
        return self._other.admit(self._weights[key_size])
