"""Chains to test with: events that are about nothing in particular, and chains of them that are stored nowhere."""

from datetime import timedelta
from typing import Any

from keyturn.audit.chain import Head, canonical, head_of, link
from keyturn.audit.events import AuditEvent, CommandGiven
from keyturn.ids import RunKind, new_run_id
from tests.keyturn.runs.lifecycle import NOW, new_keyring


def fresh_rotation() -> str:
    """Return the id of a rotation that has no record and no chain."""
    return new_run_id(RunKind.ROTATION, new_keyring(), NOW)


def event(number: int) -> AuditEvent:
    """Return the event that is told apart by the number."""
    data = CommandGiven(command="retry", by=f"operator-{number}", step=number)
    return AuditEvent(key=f"test:{number}", at=NOW + timedelta(seconds=number), data=data)


def chain(length: int, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return a chain of so many events."""
    run_id = run_id or fresh_rotation()
    linked: list[dict[str, Any]] = []
    for number in range(1, length + 1):
        linked.append(link(run_id, event(number), head_of(linked[-1]) if linked else None))
    return linked


def lines(events: list[dict[str, Any]]) -> list[bytes]:
    """Return the events as an export has them."""
    return [canonical(found) for found in events]


def heads(events: list[dict[str, Any]]) -> list[Head]:
    """Return the head of the chain after each event."""
    return [head_of(found) for found in events]
