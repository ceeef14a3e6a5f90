"""Provisioned throughput: every physical partition has its share of RU in each second, and answers 429 beyond it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from local.cosmos.errors import throttled
from local.cosmos.partitions import Partition


@dataclass(slots=True)
class _Budget:
    available: float
    refilled: float


class Throughput:
    """The budgets of all partitions; without a limit nothing is refused."""

    def __init__(self, request_units_per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = request_units_per_second
        self._clock = clock
        self._budgets: dict[int, _Budget] = {}

    def admit(self, partition: Partition, partitions: int) -> None:
        """Let a request through, or refuse it with 429 and the time after which the budget is positive again.

        The charge is known only afterwards, so a budget may go below zero; it holds one second's worth at most.
        """
        if self.limit is None:
            return
        share, now = self.limit / partitions, self._clock()
        budget = self._budgets.setdefault(partition.number, _Budget(share, now))
        budget.available = min(share, budget.available + (now - budget.refilled) * share)
        budget.refilled = now
        if budget.available <= 0:
            raise throttled((1 - budget.available) / share * 1000)

    def consume(self, partition: Partition, charge: float) -> None:
        """Take a request's charge from the partition's budget."""
        if self.limit is not None and partition.number in self._budgets:
            self._budgets[partition.number].available -= charge
