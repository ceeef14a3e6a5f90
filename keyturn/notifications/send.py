"""Send one message over one channel, and tell what became of it without a word of what the service answered."""

import asyncio
import logging
import re
import threading
from typing import NamedTuple, override

from keyturn.notifications.channels import Channel, open_channel
from keyturn.notifications.events import Tone

SECONDS = 20.0  # for one message; apprise itself gives a connection and an answer 4 s each, and mail 15 s

_STATUS = re.compile(r"error=(\d{3})\b")


class Message(NamedTuple):
    """What people read."""

    title: str
    body: str
    tone: Tone


async def send(channel: Channel, message: Message) -> str | None:
    """Send the message; returns None, or why it did not arrive: an HTTP status or the type of an error."""
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.to_thread(_send, channel, message)
    except TimeoutError:
        return "TimeoutError"


def _send(channel: Channel, message: Message) -> str | None:
    if (opened := open_channel(channel)) is None:
        return "NoChannelError"
    reasons = _Reasons()
    log = logging.getLogger("apprise")
    log.addHandler(reasons)
    try:
        sent = opened.notify(body=message.body, title=message.title, notify_type=message.tone, body_format="text")
    except Exception as error:  # noqa: BLE001 - plugins of a hundred services: whatever one raises, its type is told
        return type(error).__name__
    finally:
        log.removeHandler(reasons)
    return None if sent else reasons.reason


class _Reasons(logging.Handler):
    """Hears what apprise says of the sending in this thread, since its answer is only yes or no."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.reason = "RefusedError"

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        said = record.getMessage()
        if (status := _STATUS.search(said)) is not None:
            self.reason = f"HTTP {status[1]}"
        elif "connection error" in said.lower():
            self.reason = "ConnectionError"
