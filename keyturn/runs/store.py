"""Where the runs' records are kept: create, read, list, and change one at a time by ETag.

A store holds the records of one kind of run; EveryRun finds any run by its id, whatever its kind.
"""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, ClassVar

from keyturn.audit.log import AuditLog
from keyturn.cosmos.state_container import Documents
from keyturn.errors import InvariantError, LostRaceError
from keyturn.ids import RunKind, keyring_of, unknown_run
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.telemetry import record_metrics

# Cosmos DB takes 2 MB; the bounds of the record's parts keep it far below this.
DOCUMENT_BYTES_MAX = 1_500_000
ATTEMPTS = 12
PAGE_MAX = 50


class Runs[R: RunRecord]:
    """The records of one kind of run, or of all, and what stands beside them: lease, idempotency keys, audit chains."""

    kind: ClassVar[RunKind | None] = None

    def __init__(self, documents: Documents, record_of: Callable[[dict[str, Any]], R]) -> None:
        self.documents = documents
        self.audit = AuditLog(documents)
        self._record_of = record_of

    async def read(self, run_id: str) -> R:
        """Return the record with its ETag; raises the error of an unknown id."""
        if (record := await self.find(run_id)) is None:
            raise unknown_run(run_id, self.kind)
        return record

    async def find(self, run_id: str) -> R | None:
        """Return the record, or None; raises the error of an unknown id for what cannot be one."""
        document = await self.documents.read(keyring_of(run_id, self.kind), run_id)
        return None if document is None else self._record_of(document)

    async def newest(self, keyring: str, *, before: str | None = None, limit: int = 20) -> list[R]:
        """Return the keyring's runs of the store's kind, newest first, from the one before the id ``before`` on.

        They are ordered by the fencing token, which every run of a keyring has for itself and which grows from run to
        run: ids hold the time to the second, and of whichever host's clock.

        Raises:
            CallerError: the keyring has no run of the id ``before``.
        """
        condition, parameters = "", {"@limit": min(limit, PAGE_MAX), "@kind": self.kind}
        if before is not None:
            if keyring_of(before, self.kind) != keyring:
                raise unknown_run(before, self.kind)
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
                record_metrics(record, written)
                return written
            # Writers that lost at the same moment must not meet again at the next.
            await asyncio.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 5)))  # noqa: S311 - spreads retries only
        raise LostRaceError("others kept changing the run's record", document=run_id, attempts=ATTEMPTS)


class RotationStore(Runs[RotationRecord]):
    """The records of all rotations."""

    kind = RunKind.ROTATION

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents, RotationRecord.from_document)


class MigrationStore(Runs[MigrationRecord]):
    """The records of all migrations."""

    kind = RunKind.MIGRATION

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents, MigrationRecord.from_document)


class EveryRun(Runs[RunRecord]):
    """The records of all runs: for what is done to a rotation and to a migration in the same way."""

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents, _record_of)


def _record_of(document: dict[str, Any]) -> RunRecord:
    kind: type[RunRecord] = MigrationRecord if document["kind"] == RunKind.MIGRATION else RotationRecord
    return kind.from_document(document)


def check_size(document: dict[str, object]) -> None:
    """Raise InvariantError for a document that is larger than the bounds of its parts allow."""
    size = len(json.dumps(document, ensure_ascii=False).encode())
    if size > DOCUMENT_BYTES_MAX:
        raise InvariantError("a run's record is too large", document=document["id"], bytes=size)
