"""Time as the core sees it: a test passes another clock, so that nothing that waits makes it wait."""

from field_encrypt.pacing import SystemClock as Clock

__all__ = ["Clock"]
