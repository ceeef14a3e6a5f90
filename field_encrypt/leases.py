"""Counting the uses of a DEK without a write for each: a process takes a lease of many, and counts them in memory.

The row's counters are the sum of what was leased. A lease is taken by adding to the counter and looking at what came
out: what lies beyond the bound is not granted. So it holds however many ask at the same time, and whatever is lost
with a process that dies: its leased uses are never used, none is used twice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from field_encrypt.dek import Dek
from field_encrypt.key_policy import KeyPolicy

# A lease ends after this time even if uses are left, so that a process finds out when the MEK has a new version.
LEASE_SECONDS = 60.0
SHARE = 100  # a lease is this part of the bound: what a crash loses, and how many writes a DEK's life costs


def asked_for(bound: int | None, needed: int) -> int:
    """Return how much to add to a counter in order to get ``needed``; an unbounded counter is not kept."""
    return 0 if bound is None or needed <= 0 else max(needed, bound // SHARE)


def granted(bound: int | None, asked: int, counter: int) -> int:
    """Return how much of what was asked for is granted, given what the counter is since then."""
    return 0 if bound is None else max(0, min(asked, bound - (counter - asked)))


@dataclass(slots=True)
class Lease:
    """What one process may still do with one DEK."""

    policy: KeyPolicy
    dek_id: str
    mek_version: str
    dek: Dek
    ends: float
    uses: int = 0
    documents: int = 0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def lacking(self, uses: int, documents: int) -> tuple[int, int]:
        """Return how many uses and documents are lacking for this work."""
        return (
            0 if self.policy.max_uses is None else max(0, uses - self.uses),
            0 if self.policy.documents_bound is None else max(0, documents - self.documents),
        )

    def covers(self, uses: int, documents: int) -> bool:
        """Tell whether the work can be done without asking the row."""
        return self.clock() < self.ends and self.lacking(uses, documents) == (0, 0)

    def take(self, uses: int, documents: int) -> None:
        """Count the work; what is not counted by the policy does not run out."""
        if self.policy.max_uses is not None:
            self.uses -= uses
        if self.policy.documents_bound is not None:
            self.documents -= documents
