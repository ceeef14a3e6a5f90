"""Time as the core sees it: a test passes another clock, so that nothing that waits makes it wait."""

from datetime import datetime, timedelta
from typing import override

from field_encrypt.pacing import SystemClock as Clock

__all__ = ["Clock", "CorrectedClock"]


class CorrectedClock(Clock):
    """The clock of a machine that is this much ahead; a negative time says behind."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    @override
    def now(self) -> datetime:
        return super().now() - self._ahead
