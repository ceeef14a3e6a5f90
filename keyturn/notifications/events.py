"""The events of which messages are sent, as data; each is also one log line, on which an alert can be set."""

import logging
from collections.abc import Mapping
from typing import Literal, NamedTuple

from keyturn.contracts.steps import NotifyInput
from keyturn.ids import kind_of
from keyturn.telemetry.names import EVENT, KEYRING, ROTATION

type Tone = Literal["info", "success", "warning", "failure"]


class Event(NamedTuple):
    """How an event is told."""

    tone: Tone
    urgent: bool  # a person must act, or harm was undone: told to the people on call as well
    section: str = ""  # of docs/runbooks/MEK_ROTATION.md: what to do about it


ON_CALL = "on_call"  # pre-flight's question whether the people on call can be reached
OVERDUE = "overdue"
DRIFT = "drift"  # of a keyring, and of no run
DRILL_FAILED = "drill_failed"  # likewise: a key backup did not open today's rows
UNREADABLE = "unreadable"  # a check of documents has ended, and found some that do not decrypt
DECISIONS = frozenset({"approval_wanted", "approval_reminder"})  # approvers are asked, each on a channel of their own

EVENTS: Mapping[str, Event] = {
    ON_CALL: Event("info", urgent=True),
    "started": Event("info", urgent=False),
    "blocked": Event("warning", urgent=True, section="Pre-flight"),
    "needs_attention": Event("warning", urgent=True, section="It needs attention"),
    "approval_wanted": Event("warning", urgent=True, section="Decide"),
    "approval_reminder": Event("warning", urgent=False, section="Decide"),
    "approval_void": Event("warning", urgent=True, section="Decide"),
    "approved": Event("success", urgent=False),
    "rejected": Event("info", urgent=False),
    "expired": Event("warning", urgent=True, section="Rotate"),
    "aborted": Event("info", urgent=False),
    "retired": Event("info", urgent=False),
    "reinstated": Event("failure", urgent=True, section="Take a retirement back"),
    "completed": Event("success", urgent=False),
    "failed": Event("failure", urgent=True, section="It failed"),
    OVERDUE: Event("failure", urgent=True, section="Rotate"),
    UNREADABLE: Event("failure", urgent=True, section="A document fails to decrypt"),
    DRIFT: Event("failure", urgent=True, section="Restore"),
    DRILL_FAILED: Event("failure", urgent=True, section="Bring the key back"),
}


logger = logging.getLogger("keyturn.events")


def runbook(event: str) -> list[str]:
    """Return the line that says where the runbook is about the event; none where there is nothing to do."""
    section = EVENTS[event].section
    return [f"Runbook: MEK_ROTATION.md, {section}"] if section else []


def announce(event: NotifyInput) -> None:
    """Write the event to the log, as a warning where it sounds like one."""
    level = logging.WARNING if EVENTS[event.event].tone in ("warning", "failure") else logging.INFO
    subject = f"{kind_of(event.run.run_id) or 'keyring'} {event.run.run_id}"
    logger.log(level, "%s: %s %s", subject, event.event, event.detail, extra=facts_of(event))


def facts_of(event: NotifyInput) -> dict[str, str]:
    """Return what a log record says of the event."""
    run = {ROTATION: event.run.run_id} if kind_of(event.run.run_id) is not None else {}
    return {**run, KEYRING: event.run.keyring, EVENT: event.event}
