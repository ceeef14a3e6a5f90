"""apprise's own log, which quotes URLs, requests and answers: nothing of it gets out, but for the kind of a failure."""

import contextlib
import logging
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import override

_STATUS = re.compile(r"error=(\d{3})\b")


@dataclass
class Reason:
    """Why a message was not taken, as far as apprise says; its answer is only yes or no."""

    kind: str = "RefusedError"


_listening: ContextVar[Reason | None] = ContextVar("keyturn_apprise_reason", default=None)


@contextlib.contextmanager
def listening() -> Iterator[Reason]:
    """Listen to what apprise says in this thread."""
    reason = Reason()
    token = _listening.set(reason)
    try:
        yield reason
    finally:
        _listening.reset(token)


class _Silence(logging.Filter):
    @override
    def filter(self, record: logging.LogRecord) -> bool:
        reason = _listening.get()
        if reason is not None and record.levelno >= logging.WARNING:
            said = record.getMessage()
            if (status := _STATUS.search(said)) is not None:
                reason.kind = f"HTTP {status[1]}"
            elif "connection error" in said.lower():
                reason.kind = "ConnectionError"
        return False


def silence() -> None:
    """Keep apprise's log to ourselves; a second call changes nothing."""
    logger = logging.getLogger("apprise")
    if not any(isinstance(found, _Silence) for found in logger.filters):
        logger.addFilter(_Silence())
