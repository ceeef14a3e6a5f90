"""Migrations to test with: their records, and the rows and versions that they work on."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from keyturn.contracts.base import Policy, RunRef, StepInput
from keyturn.contracts.migrations import RewrapDeks, Work
from keyturn.contracts.pages import PageInput, RowRef
from keyturn.contracts.states import State
from keyturn.key_vault.versions import MekVersions
from keyturn.migrations.start import start_migration
from keyturn.rotation.start import Workflows
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore
from keyturn.runs.transitions import record_step
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import workflows

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
REWRAP = RewrapDeks(new_version="f" * 32)


def new_keyring() -> str:
    """Return a keyring of the test's own."""
    return f"k{uuid.uuid4().hex[:12]}"


async def started(
    migrations: MigrationStore,
    work: Work = REWRAP,
    *,
    keyring: str | None = None,
    alive: Workflows | None = None,
    now: datetime = NOW,
    **more: Any,
) -> MigrationRecord:
    """Start a migration."""
    return await start_migration(
        migrations,
        work,
        keyring=keyring or new_keyring(),
        **{"requested_by": "ada@example.com", "reason": "", "dry_run": False, **more},
        policy=Policy(),
        workflows=alive or workflows(),
        now=now,
    )


async def step_to(migrations: MigrationStore, record: MigrationRecord, target: State) -> MigrationRecord:
    """Take the next step."""
    return await record_step(migrations, StepInput(run=record.ref, step=record.step + 1, target=target), NOW)


def page_of(run_id: str, target: str, refs: Sequence[RowRef], *, dry_run: bool = False) -> PageInput:
    """Return a page's input."""
    return PageInput(
        run=RunRef(run_id=run_id, keyring="notes", fencing_token=1),
        target_version=target,
        refs=list(refs),
        operations_per_second=1000,
        dry_run=dry_run,
    )


def versions_of(local_keyring: LocalKeyring) -> MekVersions:
    """Return the MEK's versions."""
    return MekVersions(local_keyring.mek.admin, local_keyring.mek.client)


async def enabled(local_keyring: LocalKeyring) -> set[str]:
    """Return the versions that are enabled."""
    return {name for name, found in (await versions_of(local_keyring).states()).items() if found.enabled}
