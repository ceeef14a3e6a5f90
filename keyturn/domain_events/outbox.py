"""The outbox: delivers what the audit chains hold and the endpoint has not taken yet.

Within a rotation, events go out in the order of the chain, and the next one only after the one before was taken: at
least once, under the same id. A rotation never waits for this, and nothing is ever skipped: what the endpoint does not
take is tried again, for ever, and said in the log.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from keyturn.audit.chain import head_of
from keyturn.audit.log import AuditLog
from keyturn.domain_events.actiontrail import Actiontrail, UndeliveredError
from keyturn.domain_events.cursor import Cursor, read_cursors, write_cursor
from keyturn.rotation.documents import Documents

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

    def __init__(self, documents: Documents, actiontrail: Actiontrail) -> None:
        self._documents = documents
        self._audit = AuditLog(documents)
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
        found = [cursors.get(rotation_id) or Cursor.of(rotation_id) for rotation_id in heads]
        behind = [cursor for cursor in found if cursor.delivered < heads[cursor.rotation_id].sequence]
        return sorted(behind, key=lambda cursor: (cursor.attempts > 0, cursor.rotation_id))

    async def _deliver(self, cursor: Cursor, now: datetime, deliveries: Deliveries) -> bool:
        """Deliver a rotation's events until one is not taken; tells whether the endpoint answers."""
        for event in await self._audit.read_chain(cursor.rotation_id, after=cursor.delivered, limit=EVENTS_MAX):
            head = head_of(event)
            if head.sequence != cursor.delivered + 1:
                _log.error("the audit chain of %s lacks event %d", cursor.rotation_id, cursor.delivered + 1)
                await write_cursor(self._documents, cursor.failed("the chain is broken", now))
                deliveries.failed += 1
                return True
            try:
                await self._actiontrail.deliver(event)
            except UndeliveredError as error:
                _log.warning("event %s of %s was not delivered: %s", event["id"], cursor.rotation_id, error.reason)
                await write_cursor(self._documents, cursor.failed(error.reason, now))
                deliveries.failed += 1
                return error.reached
            deliveries.delivered += 1
            if (moved := await write_cursor(self._documents, cursor.moved(head.sequence))) is None:
                return True  # another run delivers this rotation
            cursor = moved
        return True
