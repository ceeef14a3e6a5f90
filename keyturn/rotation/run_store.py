"""Where the runs' records are kept: create, read, list, and change one at a time by ETag."""

import asyncio
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, override

from azure.cosmos.aio import ContainerProxy

from keyturn.audit.log import AuditLog
from keyturn.errors import InvariantError, KeyturnError, LostRaceError, UnknownRotationError
from keyturn.rotation.documents import Documents
from keyturn.rotation.record import RotationRecord, keyring_of
from keyturn.rotation.run_record import RunRecord
from keyturn.telemetry.runs import tell_change

# Cosmos DB takes 2 MB; the bounds of the record's parts keep it far below this.
DOCUMENT_BYTES_MAX = 1_500_000
ATTEMPTS = 12
PAGE_MAX = 50


class Runs[R: RunRecord](ABC):
    """The records of one kind of run, and what stands beside them: lease, idempotency keys, audit chains."""

    def __init__(self, documents: Documents, record_of: Callable[[dict[str, Any]], R]) -> None:
        self.documents = documents
        self.audit = AuditLog(documents)
        self._record_of = record_of

    @abstractmethod
    def keyring_of(self, run_id: str) -> str:
        """Return the keyring, which is the partition, that an id belongs to; raises the error of an unknown id."""

    @abstractmethod
    def unknown(self, run_id: str) -> KeyturnError:
        """Return the error for an id that no record has."""

    async def read(self, run_id: str) -> R:
        """Return the record with its ETag; raises the error of an unknown id."""
        if (record := await self.find(run_id)) is None:
            raise self.unknown(run_id)
        return record

    async def find(self, run_id: str) -> R | None:
        """Return the record, or None; raises the error of an unknown id for what cannot be one."""
        document = await self.documents.read(self.keyring_of(run_id), run_id)
        return None if document is None else self._record_of(document)

    async def newest_of(self, kind: str, keyring: str, *, before: str | None, limit: int) -> list[R]:
        """Return the keyring's runs of this kind, newest first, from the one before the id ``before`` on.

        They are ordered by the fencing token, which every run of a keyring has for itself and which grows from run to
        run: ids hold the time to the second, and of whichever host's clock.

        Raises:
            CallerError: the keyring has no run of the id ``before``.
        """
        condition, parameters = "", {"@limit": min(limit, PAGE_MAX), "@kind": kind}
        if before is not None:
            if self.keyring_of(before) != keyring:
                raise self.unknown(before)
            condition = " AND c.fencingToken < @token"
            parameters = {**parameters, "@token": (await self.read(before)).fencing_token}
        query = f"SELECT TOP @limit * FROM c WHERE c.kind = @kind{condition} ORDER BY c.fencingToken DESC"  # noqa: S608 - constant
        return [self._record_of(found) for found in await self.documents.query(keyring, query, parameters)]

    async def update(self, run_id: str, change: Callable[[R], R]) -> R:
        """Read, change and replace the record if nobody else has; again, on what is there now, if somebody has.

        ``change`` may run several times, also on a record that already carries its own effect (an answer was lost).
        Returning the record it was given writes nothing. What it raises ends the update.

        Raises:
            CallerError: there is no such record.
            LostRaceError: others kept changing it.
        """
        for attempt in range(ATTEMPTS):
            record = await self.read(run_id)
            changed = change(record)
            if changed is record:
                return record
            if record.etag is None:
                raise InvariantError("a record was read without an ETag", rotationId=run_id)
            document = changed.to_document()
            check_size(document)
            if (stored := await self.documents.replace(document, record.etag)) is not None:
                written = self._record_of(stored)
                tell_change(record, written)
                return written
            # Writers that lost at the same moment must not meet again at the next.
            await asyncio.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 5)))  # noqa: S311 - spreads retries only
        raise LostRaceError("others kept changing the run's record", document=run_id, attempts=ATTEMPTS)


class RunStore(Runs[RotationRecord]):
    """The records of all rotations."""

    def __init__(self, container: ContainerProxy) -> None:
        super().__init__(Documents(container), RotationRecord.from_document)

    @override
    def keyring_of(self, run_id: str) -> str:
        return keyring_of(run_id)

    @override
    def unknown(self, run_id: str) -> UnknownRotationError:
        return UnknownRotationError("there is no such rotation", rotationId=run_id)

    async def newest(self, keyring: str, *, before: str | None = None, limit: int = 20) -> list[RotationRecord]:
        """Return the keyring's rotations, newest first, from the one before the id ``before`` on.

        Raises:
            UnknownRotationError: the keyring has no rotation ``before``.
        """
        return await self.newest_of("rotation", keyring, before=before, limit=limit)


def check_size(document: dict[str, object]) -> None:
    """Raise InvariantError for a document that is larger than the bounds of its parts allow."""
    size = len(json.dumps(document, ensure_ascii=False).encode())
    if size > DOCUMENT_BYTES_MAX:
        raise InvariantError("a run's record is too large", document=document["id"], bytes=size)
