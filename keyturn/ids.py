"""Runs by their ids: ``<keyring>.<time>.<hex>`` of a rotation, ``<keyring>.m.<time>.<hex>`` of a migration.

An id tells its keyring and its kind. What else differs by kind is in one table: where a run is found over HTTP
(relative addresses, so that they hold behind any proxy), which workflow instance runs it, and the error for an id that
no run has.
"""

import re
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from keyturn.errors import CallerError, UnknownMigrationError, UnknownRotationError

ROTATIONS = "/api/rotations"
MIGRATIONS = "/api/migrations"
RESTORES = "/api/restores"
APPROVALS = "/api/approvals"
CONSOLE = "/api/console"

_RUN_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,39})(\.m)?\.\d{8}T\d{6}Z\.[0-9a-f]{6}")
SEE_RUNS = "see what there is: keyturn list"


class RunKind(StrEnum):
    """What a run is; the value stands in its record and names its workflow."""

    ROTATION = "rotation"
    MIGRATION = "migration"


class _Kind(NamedTuple):
    """What differs by kind: the mark in an id, the collection over HTTP, and the error for no such run."""

    mark: str
    collection: str
    unknown: type[CallerError]
    fact: str


_KINDS = {
    RunKind.ROTATION: _Kind("", ROTATIONS, UnknownRotationError, "rotationId"),
    RunKind.MIGRATION: _Kind(".m", MIGRATIONS, UnknownMigrationError, "migrationId"),
}


def new_run_id(kind: RunKind, keyring: str, at: datetime) -> str:
    """Return a fresh id that names its keyring and, to the second, its time; runs are ordered by fencing token."""
    return f"{keyring}{_KINDS[kind].mark}.{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(3)}"


def kind_of(run_id: str) -> RunKind | None:
    """Return the kind of run that the id is of, or None for what is no run's id."""
    if (match := _RUN_ID.fullmatch(run_id)) is None:
        return None
    return RunKind.MIGRATION if match[2] else RunKind.ROTATION


def keyring_of(run_id: str, kind: RunKind | None = None) -> str:
    """Return the keyring, which is the partition, that the id of a run of this kind, or of any, belongs to.

    Raises:
        UnknownRotationError: it is no run's id, or not a rotation's where one is expected.
        UnknownMigrationError: it is not a migration's id where one is expected.
    """
    match = _RUN_ID.fullmatch(run_id)
    if match is None or (kind is not None and kind_of(run_id) is not kind):
        raise unknown_run(run_id, kind)
    return match[1]


def unknown_run(run_id: str, kind: RunKind | None = None) -> CallerError:
    """Return the error for an id that no run of this kind, or of any, has."""
    known = _KINDS[kind or RunKind.ROTATION]
    return known.unknown(f"there is no such {kind or 'run'}", hint=SEE_RUNS, **{known.fact: run_id})


def instance_id_of(kind: RunKind, keyring: str) -> str:
    """Return the workflow instance that executes this keyring's runs of the kind: fixed, so that there is only one."""
    return f"{kind}-{keyring}"


def run_link(run_id: str) -> str:
    """Return the address of the status of a rotation or of a migration, which its id tells."""
    return f"{_KINDS[kind_of(run_id) or RunKind.ROTATION].collection}/{run_id}"


def approval_link(run_id: str) -> str:
    """Return the address of the page on which an approver decides; it opens with a token only."""
    return f"{run_link(run_id)}/approval"


def report_link(run_id: str) -> str:
    """Return the address of the run's whole report."""
    return f"{run_link(run_id)}/report"


def console_link(run_id: str) -> str:
    """Return the address of the run's page on the console."""
    return f"{CONSOLE}/runs/{run_id}"
