"""Announce an event of a rotation: one structured log line, on which an alert can be set."""

import logging

from keyturn.contracts import NotifyInput

logger = logging.getLogger("keyturn.events")

# Events that a person must act on, or that mean harm was undone.
URGENT = frozenset(
    {"blocked", "needs_attention", "approval_wanted", "approval_void", "reinstated", "failed", "expired"}
)


def announce(event: NotifyInput) -> None:
    """Write the event to the log, urgent ones as warnings."""
    level = logging.WARNING if event.event in URGENT else logging.INFO
    facts = {"rotationId": event.rotation_id, "keyring": event.keyring, "event": event.event}
    logger.log(
        level, "rotation %s: %s %s", event.rotation_id, event.event, event.detail, extra={"custom_dimensions": facts}
    )
