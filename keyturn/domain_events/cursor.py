"""How far a rotation's events were delivered: one document beside its audit chain, which is the queue itself."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from keyturn.contracts import Payload
from keyturn.rotation.documents import Documents
from keyturn.rotation.run_record import keyring_of_run

CURSOR_KIND: Literal["outbox"] = "outbox"

# Waits 10, 20, 40, ... 300 s between attempts: what an outage held back is on its way five minutes after its end.
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=5)


class Cursor(Payload):
    """Where delivery stands."""

    id: str
    kind: Literal["outbox"] = CURSOR_KIND
    keyring: str
    rotation_id: str
    delivered: int = 0  # sequence of the last event that the endpoint took
    attempts: int = 0  # failed ones, on the event after it
    next_attempt_at: datetime | None = None
    last_error: str | None = None  # its kind, in our own words
    etag: Annotated[str | None, Field(exclude=True)] = None

    @classmethod
    def of(cls, rotation_id: str) -> Self:
        """Return the cursor of a rotation of which nothing was delivered."""
        return cls(id=f"{rotation_id}:outbox", keyring=keyring_of_run(rotation_id), rotation_id=rotation_id)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read a stored document."""
        own = {name: value for name, value in document.items() if not name.startswith("_")}
        return cls.model_validate({**own, "etag": document.get("_etag")})

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


async def read_cursors(documents: Documents, keyring: str) -> dict[str, Cursor]:
    """Return the keyring's cursors by rotation."""
    found = await documents.query(keyring, "SELECT * FROM c WHERE c.kind = @kind", {"@kind": CURSOR_KIND})
    cursors = [Cursor.from_document(document) for document in found]
    return {cursor.rotation_id: cursor for cursor in cursors}


async def write_cursor(documents: Documents, cursor: Cursor) -> Cursor | None:
    """Write the cursor and return it as stored, or return None where it is not the one that was read any more."""
    if cursor.etag is not None:
        stored = await documents.replace(cursor.to_payload(), cursor.etag)
    elif await documents.create(cursor.to_payload()):
        stored = await documents.read(cursor.keyring, cursor.id)
    else:
        stored = None
    return Cursor.from_document(stored) if stored is not None else None
