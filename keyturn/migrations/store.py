"""Where the records of migrations are kept, and the store that finds any run by its id, whatever its kind."""

from typing import Any, override

from keyturn.errors import KeyturnError, UnknownMigrationError, UnknownRotationError
from keyturn.migrations.ids import is_migration_id, keyring_of
from keyturn.migrations.record import MigrationRecord
from keyturn.rotation import record as rotation_record
from keyturn.rotation.documents import Documents
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.run_store import Runs


class MigrationStore(Runs[MigrationRecord]):
    """The records of all migrations."""

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents, MigrationRecord.from_document)

    @override
    def keyring_of(self, run_id: str) -> str:
        return keyring_of(run_id)

    @override
    def unknown(self, run_id: str) -> UnknownMigrationError:
        return UnknownMigrationError("there is no such migration", migrationId=run_id)

    async def newest(self, keyring: str, *, before: str | None = None, limit: int = 20) -> list[MigrationRecord]:
        """Return the keyring's migrations, newest first, from the one before the id ``before`` on.

        Raises:
            UnknownMigrationError: the keyring has no migration ``before``.
        """
        return await self.newest_of("migration", keyring, before=before, limit=limit)


class EveryRun(Runs[RunRecord]):
    """The records of all runs: for what is done to a rotation and to a migration in the same way."""

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents, _record_of)

    @override
    def keyring_of(self, run_id: str) -> str:
        return keyring_of(run_id) if is_migration_id(run_id) else rotation_record.keyring_of(run_id)

    @override
    def unknown(self, run_id: str) -> KeyturnError:
        return UnknownRotationError("there is no such run", rotationId=run_id)


def _record_of(document: dict[str, Any]) -> RunRecord:
    kind: type[RunRecord] = MigrationRecord if document["kind"] == "migration" else RotationRecord
    return kind.from_document(document)
