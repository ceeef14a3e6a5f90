"""Announce an event of a rotation: one structured log line, on which an alert can be set."""

import logging

from keyturn.contracts import NotifyInput
from keyturn.notifications.events import EVENTS
from keyturn.telemetry.names import EVENT, KEYRING, ROTATION

logger = logging.getLogger("keyturn.events")


def announce(event: NotifyInput) -> None:
    """Write the event to the log, as a warning where it sounds like one."""
    level = logging.WARNING if EVENTS[event.event].tone in ("warning", "failure") else logging.INFO
    facts = {ROTATION: event.rotation_id, KEYRING: event.keyring, EVENT: event.event}
    logger.log(level, "rotation %s: %s %s", event.rotation_id, event.event, event.detail, extra=facts)
