"""Where the runs' records are kept: create, read, list, and change one at a time by ETag."""

import asyncio
import json
import random
from collections.abc import Callable

from azure.cosmos.aio import ContainerProxy

from keyturn.audit.log import AuditLog
from keyturn.errors import InvariantError, LostRaceError, UnknownRotationError
from keyturn.rotation.documents import Documents
from keyturn.rotation.record import RotationRecord, keyring_of
from keyturn.telemetry.runs import tell_change

# Cosmos DB takes 2 MB; the bounds of the record's parts keep it far below this.
DOCUMENT_BYTES_MAX = 1_500_000
ATTEMPTS = 12
PAGE_MAX = 50

Change = Callable[[RotationRecord], RotationRecord]


class RunStore:
    """The records of all rotations, and what stands beside them: lease, idempotency keys, webhook ids, audit chains."""

    def __init__(self, container: ContainerProxy) -> None:
        self.documents = Documents(container)
        self.audit = AuditLog(self.documents)

    async def read(self, rotation_id: str) -> RotationRecord:
        """Return the record with its ETag; raises UnknownRotationError."""
        if (record := await self.find(rotation_id)) is None:
            raise UnknownRotationError("there is no such rotation", rotationId=rotation_id)
        return record

    async def find(self, rotation_id: str) -> RotationRecord | None:
        """Return the record, or None; raises UnknownRotationError for what cannot be a rotation's id."""
        document = await self.documents.read(keyring_of(rotation_id), rotation_id)
        return None if document is None else RotationRecord.from_document(document)

    async def newest(self, keyring: str, *, before: str | None = None, limit: int = 20) -> list[RotationRecord]:
        """Return the keyring's rotations, newest first, from the one before the id ``before`` on."""
        condition, parameters = "", {"@limit": min(limit, PAGE_MAX), "@kind": "rotation"}
        if before is not None:
            condition, parameters = " AND c.id < @before", {**parameters, "@before": before}
        query = f"SELECT TOP @limit * FROM c WHERE c.kind = @kind{condition} ORDER BY c.id DESC"  # noqa: S608 - constant
        return [RotationRecord.from_document(found) for found in await self.documents.query(keyring, query, parameters)]

    async def update(self, rotation_id: str, change: Change) -> RotationRecord:
        """Read, change and replace the record if nobody else has; again, on what is there now, if somebody has.

        ``change`` may run several times, also on a record that already carries its own effect (an answer was lost).
        Returning the record it was given writes nothing. What it raises ends the update.

        Raises:
            UnknownRotationError: there is no such record.
            LostRaceError: others kept changing it.
        """
        for attempt in range(ATTEMPTS):
            record = await self.read(rotation_id)
            changed = change(record)
            if changed is record:
                return record
            if record.etag is None:
                raise InvariantError("a record was read without an ETag", rotationId=rotation_id)
            document = changed.to_document()
            check_size(document)
            if (stored := await self.documents.replace(document, record.etag)) is not None:
                written = RotationRecord.from_document(stored)
                tell_change(record, written)
                return written
            # Writers that lost at the same moment must not meet again at the next.
            await asyncio.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 5)))  # noqa: S311 - spreads retries only
        raise LostRaceError("others kept changing the rotation's record", document=rotation_id, attempts=ATTEMPTS)


def check_size(document: dict[str, object]) -> None:
    """Raise InvariantError for a document that is larger than the bounds of its parts allow."""
    size = len(json.dumps(document, ensure_ascii=False).encode())
    if size > DOCUMENT_BYTES_MAX:
        raise InvariantError("a rotation's record is too large", document=document["id"], bytes=size)
