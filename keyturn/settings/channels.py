"""Channels: apprise URLs. They hold tokens, so a channel is only ever named by its place in the setting and its scheme.

apprise takes half a second to load, so it is loaded with the first channel. Its own log quotes URLs, requests and
answers: nothing of it gets out but the kind of a failure.
"""

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, override

from pydantic import SecretStr

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


if TYPE_CHECKING:
    from apprise import NotifyBase

type Setting = Literal["NOTIFICATION_URLS", "ON_CALL_URLS", "APPROVER_URLS"]

CHANNELS_PER_SETTING = 10  # a record keeps what became of each message on each of them
EXPECTED = f"expected up to {CHANNELS_PER_SETTING}"

_SCHEME = re.compile(r"[a-zA-Z0-9+.-]{1,40}(?=://)")


class Channel(NamedTuple):
    """One place where people read."""

    setting: Setting
    number: int  # its place in the setting, from 1 on
    url: SecretStr
    reader: str | None = None  # the approver to whom it leads, where it is one's alone

    @property
    def scheme(self) -> str:
        """The URL's scheme, which tells the service and nothing else."""
        found = _SCHEME.match(self.url.get_secret_value())
        return found[0].lower() if found else ""


def channels_of(setting: Setting, urls: SecretStr | None) -> list[Channel]:
    """Return the channels of a setting; raises ValueError saying which is none, never what it holds."""
    found = [] if urls is None else urls.get_secret_value().split()
    channels = [Channel(setting, number, SecretStr(url)) for number, url in enumerate(found, 1)]
    return _checked(channels, f"{EXPECTED} apprise URLs separated by spaces")


def approvers_channels(urls: Mapping[str, SecretStr]) -> list[Channel]:
    """Return the channel of each approver; raises ValueError as ``channels_of`` does."""
    channels = [Channel("APPROVER_URLS", number, urls[name], name) for number, name in enumerate(urls, 1)]
    return _checked(channels, f"{EXPECTED} approvers, each with an apprise URL")


def _checked(channels: list[Channel], expected: str) -> list[Channel]:
    if len(channels) > CHANNELS_PER_SETTING:
        raise ValueError(f"{expected}, found {len(channels)}")
    for channel in channels:
        if open_channel(channel) is None:
            raise ValueError(f"{expected}; number {channel.number} is none")
    return channels


def apart(channels: Iterable[Channel]) -> list[Channel]:
    """Return the channels without those that lead to where an earlier one leads."""
    kept: dict[str, Channel] = {}
    for channel in channels:
        kept.setdefault(channel.url.get_secret_value(), channel)
    return list(kept.values())


def open_channel(channel: Channel) -> "NotifyBase | None":
    """Return the channel ready to send, or None where its URL is none that apprise knows."""
    import apprise  # noqa: PLC0415 - see the module's text

    silence()
    asset = apprise.AppriseAsset(app_id="Keyturn", app_desc="Keyturn", app_url="", image_url_mask="")
    unwrapped: NotifyBase | None = apprise.Apprise.instantiate(
        channel.url.get_secret_value(), asset=asset, suppress_exceptions=True
    )
    return unwrapped
