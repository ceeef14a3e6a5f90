"""The outbox: delivers what the audit chains hold and the endpoint has not taken yet.

Within a run, events go out in the order of the chain, at least once, under the same id. A run never waits for this, and
nothing is skipped: what the endpoint does not take is tried again, for ever. A cursor beside the chain says how far.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Self

from keyturn.audit import chain, log
from keyturn.contracts.base import RunId
from keyturn.cosmos.state_container import StateContainer, StoredDocument
from keyturn.domain_events.actiontrail import Actiontrail, UndeliveredError
from keyturn.ids import keyring_of

CURSOR_KIND: Literal["outbox"] = "outbox"

# Waits 10, 20, 40, ... 300 s between attempts: what an outage held back is on its way five minutes after its end.
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=5)


class Cursor(StoredDocument):
    """Where delivery stands."""

    id: str
    kind: Literal["outbox"] = CURSOR_KIND
    keyring: str
    run_id: RunId
    delivered: int = 0  # sequence of the last event that the endpoint took
    attempts: int = 0  # failed ones, on the event after it
    next_attempt_at: datetime | None = None
    last_error: str | None = None  # its kind, in our own words

    @classmethod
    def of(cls, run_id: str) -> Self:
        """Return the cursor of a rotation of which nothing was delivered."""
        return cls(id=f"{run_id}:outbox", keyring=keyring_of(run_id), run_id=run_id)

    def is_due(self, now: datetime) -> bool:
        """Tell whether the next event may be tried."""
        return self.next_attempt_at is None or self.next_attempt_at <= now

    def moved(self, sequence: int) -> Self:
        """Return the cursor after the event was taken."""
        return self.model_copy(
            update={"delivered": sequence, "attempts": 0, "next_attempt_at": None, "last_error": None}
        )

    def failed(self, reason: str, now: datetime) -> Self:
        """Return the cursor after the next event was not taken."""
        wait = min(FIRST_WAIT * 2 ** min(self.attempts, 10), LONGEST_WAIT)
        return self.model_copy(
            update={"attempts": self.attempts + 1, "next_attempt_at": now + wait, "last_error": reason}
        )


async def read_cursors(documents: StateContainer, keyring: str) -> dict[str, Cursor]:
    """Return the keyring's cursors by rotation."""
    found = await documents.query(keyring, "SELECT * FROM c WHERE c.kind = @kind", {"@kind": CURSOR_KIND})
    cursors = [Cursor.from_document(document) for document in found]
    return {cursor.run_id: cursor for cursor in cursors}


async def write_cursor(documents: StateContainer, cursor: Cursor) -> Cursor | None:
    """Write the cursor and return it as stored, or return None where it is not the one that was read any more."""
    stored = await documents.store(cursor, cursor if cursor.etag is not None else None)
    return Cursor.from_document(stored) if stored is not None else None


# A backlog beyond this is worked off by the next runs, so that one run has an end.
EVENTS_MAX = 200

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deliveries:
    """What one run did: events taken, rotations whose next event was not taken, and rotations that wait."""

    delivered: int = 0
    failed: int = 0
    waiting: int = 0


class Outbox:
    """Delivers the events of some keyrings to one endpoint."""

    def __init__(self, documents: StateContainer, actiontrail: Actiontrail) -> None:
        self._documents = documents
        self._audit = log.AuditLog(documents)
        self._actiontrail = actiontrail

    async def deliver_due(self, keyrings: Iterable[str], now: datetime) -> Deliveries:
        """Deliver what is due; an endpoint that does not answer at all is not asked twice in one run.

        Raises:
            KeyturnError: the database failed; what was not delivered is delivered by a later run.
        """
        deliveries, reached = Deliveries(), True
        for cursor in [found for keyring in keyrings for found in await self._behind(keyring)]:
            if reached and cursor.is_due(now):
                reached = await self._deliver(cursor, now, deliveries)
            else:
                deliveries.waiting += 1
        return deliveries

    async def _behind(self, keyring: str) -> list[Cursor]:
        """Return the cursors of rotations with undelivered events: those without failures first, then the oldest."""
        cursors = await read_cursors(self._documents, keyring)
        heads = await self._audit.heads(keyring)
        found = [cursors.get(run_id) or Cursor.of(run_id) for run_id in heads]
        behind = [cursor for cursor in found if cursor.delivered < heads[cursor.run_id].sequence]
        return sorted(behind, key=lambda cursor: (cursor.attempts > 0, cursor.run_id))

    async def _deliver(self, cursor: Cursor, now: datetime, deliveries: Deliveries) -> bool:
        """Deliver a rotation's events until one is not taken; tells whether the endpoint answers."""
        for event in await self._audit.read_chain(cursor.run_id, after=cursor.delivered, limit=EVENTS_MAX):
            head = chain.head_of(event)
            if head.sequence != cursor.delivered + 1:
                _log.error("the audit chain of %s lacks event %d", cursor.run_id, cursor.delivered + 1)
                await write_cursor(self._documents, cursor.failed("the chain is broken", now))
                deliveries.failed += 1
                return True
            try:
                await self._actiontrail.deliver(event)
            except UndeliveredError as error:
                _log.warning("event %s of %s was not delivered: %s", event["id"], cursor.run_id, error.reason)
                await write_cursor(self._documents, cursor.failed(error.reason, now))
                deliveries.failed += 1
                return error.reached
            deliveries.delivered += 1
            if (moved := await write_cursor(self._documents, cursor.moved(head.sequence))) is None:
                return True  # another run delivers this rotation
            cursor = moved
        return True
