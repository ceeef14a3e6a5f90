"""Announce an event of a run: one structured log line, on which an alert can be set."""

import logging

from keyturn.contracts import NotifyInput
from keyturn.migrations.ids import is_migration_id
from keyturn.notifications.events import EVENTS
from keyturn.telemetry.names import EVENT, KEYRING, ROTATION

logger = logging.getLogger("keyturn.events")


def announce(event: NotifyInput) -> None:
    """Write the event to the log, as a warning where it sounds like one."""
    level = logging.WARNING if EVENTS[event.event].tone in ("warning", "failure") else logging.INFO
    facts = {ROTATION: event.rotation_id, KEYRING: event.keyring, EVENT: event.event}
    kind = "migration" if is_migration_id(event.rotation_id) else "rotation"
    logger.log(level, "%s %s: %s %s", kind, event.rotation_id, event.event, event.detail, extra=facts)
