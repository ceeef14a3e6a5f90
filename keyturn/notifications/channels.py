"""Send one message over one channel, and tell what became of it without a word of what the service answered."""

import asyncio
from typing import NamedTuple

from keyturn.notifications.events import Tone
from keyturn.settings.channels import Channel, listening, open_channel

SECONDS = 20.0  # for one message; apprise itself gives a connection and an answer 4 s each, and mail 15 s


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
    if (unwrapped := open_channel(channel)) is None:
        return "NoChannelError"
    with listening() as reason:
        try:
            sent = unwrapped.notify(
                body=message.body, title=message.title, notify_type=message.tone, body_format="text"
            )
        except Exception as error:  # noqa: BLE001 - plugins of a hundred services: whatever one raises, its type is told
            return type(error).__name__
    return None if sent else reason.kind
