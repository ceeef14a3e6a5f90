"""I12: what the vault's own log says about the rate at which one caller asked."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

WINDOWS = (1.0, 10.0)  # seconds; the vault's own limits are for ten
# Unused budget of at most one second may be caught up with, and the log has the times of arrival.
BURST_SECONDS = 1.0
AT_ONCE = 4  # calls of pages that were scheduled apart and arrive together


def over_budget(operations: Iterable[Mapping[str, Any]], per_second: float) -> list[str]:
    """Name the first window of each length in which more operations arrived than the budget allows."""
    times = sorted(datetime.fromisoformat(entry["at"]).timestamp() for entry in operations)
    wrong = []
    for seconds in WINDOWS:
        allowed = per_second * (seconds + BURST_SECONDS) + AT_ONCE
        most = max((index + 1 - bisect_left(times, at - seconds) for index, at in enumerate(times)), default=0)
        if most > allowed:
            wrong.append(f"{most} operations in {seconds:g} s, where {per_second:g} a second are allowed")
    return wrong
