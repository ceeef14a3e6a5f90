"""Ids of migrations: ``<keyring>.m.<time>.<hex>``, so that both the keyring and the kind of run are told by the id."""

import re
import secrets
from datetime import UTC, datetime

from keyturn.errors import UnknownMigrationError

_MIGRATION_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,39})\.m\.\d{8}T\d{6}Z\.[0-9a-f]{6}")


def new_migration_id(keyring: str, at: datetime) -> str:
    """Return a fresh id that names its keyring and, to the second, its time; runs are ordered by fencing token."""
    return f"{keyring}.m.{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(3)}"


def is_migration_id(run_id: str) -> bool:
    """Tell whether the id is a migration's."""
    return _MIGRATION_ID.fullmatch(run_id) is not None


def keyring_of(migration_id: str) -> str:
    """Return the keyring that an id belongs to; raises UnknownMigrationError if it is none."""
    if (match := _MIGRATION_ID.fullmatch(migration_id)) is None:
        raise UnknownMigrationError("there is no such migration", migrationId=migration_id)
    return match[1]
