"""Where the runs' records are kept: create, read, list, and change one at a time by ETag.

A store holds the records of one kind of run; EveryRun finds any run by its id, whatever its kind.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, override

from keyturn.audit.log import AuditLog
from keyturn.cosmos.state_container import StateContainer
from keyturn.ids import RunKind, keyring_of, unknown_run
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.telemetry import record_metrics

PAGE_MAX = 50


class Runs[R: RunRecord]:
    """The records of one kind of run, or of all, and what stands beside them: lease, idempotency keys, audit chains."""

    kind: ClassVar[RunKind | None] = None
    record_of: Callable[[Mapping[str, Any]], R]

    def __init__(self, documents: StateContainer) -> None:
        self.documents = documents
        self.audit = AuditLog(documents)

    async def read(self, run_id: str) -> R:
        """Return the record with its ETag; raises the error of an unknown id."""
        if (record := await self.find(run_id)) is None:
            raise unknown_run(run_id, self.kind)
        return record

    async def find(self, run_id: str) -> R | None:
        """Return the record, or None; raises the error of an unknown id for what cannot be one."""
        return await self.documents.find(self.record_of, keyring_of(run_id, self.kind), run_id)

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
        return [self.record_of(found) for found in await self.documents.query(keyring, query, parameters)]

    async def update(self, run_id: str, change: Callable[[R], R], *, confirm: bool = False) -> R:
        """Read, change and replace the record if no other writer has; again, on what is there now, if one has.

        ``change`` may run several times, also on a record that already carries its own effect (an answer was lost).
        Returning the record it was given writes nothing, unless it is to be confirmed that this was the newest. What
        it raises ends the update, if that was for the newest record.

        Raises:
            CallerError: there is no such record.
            LostRaceError: others kept changing it.
        """
        before: list[R] = []  # the record that the write which won was made from

        def changed(record: R | None) -> R:
            if record is None:
                raise unknown_run(run_id, self.kind)
            before[:] = [record]
            return change(record)

        keyring = keyring_of(run_id, self.kind)
        written = await self.documents.update(self.record_of, keyring, run_id, changed, confirm=confirm)
        if written is None:
            raise unknown_run(run_id, self.kind)
        if written.etag != before[0].etag:
            record_metrics(before[0], written)
        return written


class RotationStore(Runs[RotationRecord]):
    """The records of all rotations."""

    kind = RunKind.ROTATION
    record_of = RotationRecord.from_document


class MigrationStore(Runs[MigrationRecord]):
    """The records of all migrations."""

    kind = RunKind.MIGRATION
    record_of = MigrationRecord.from_document


class EveryRun(Runs[RunRecord]):
    """The records of all runs: for what is done to a rotation and to a migration in the same way."""

    @staticmethod
    @override
    def record_of(document: Mapping[str, Any]) -> RunRecord:
        """Return the record of the kind that the document says."""
        kind: type[RunRecord] = MigrationRecord if document["kind"] == RunKind.MIGRATION else RotationRecord
        return kind.from_document(document)
