"""Start a migration: clear away a run that lost its workflow, and take the keyring together with the record."""

from datetime import datetime

from keyturn.contracts import Policy, Work
from keyturn.errors import MigrationRunningError
from keyturn.migrations.ids import is_migration_id, new_migration_id
from keyturn.migrations.leases import active
from keyturn.migrations.record import MigrationRecord, instance_id_of
from keyturn.migrations.store import MigrationStore
from keyturn.rotation.lease import take
from keyturn.rotation.record_parts import HistoryEntry
from keyturn.rotation.start import Workflows, clear_orphan
from keyturn.rotation.states import State


async def start_migration(
    migrations: MigrationStore,
    work: Work,
    *,
    keyring: str,
    requested_by: str,
    reason: str,
    dry_run: bool,
    policy: Policy,
    workflows: Workflows,
    now: datetime,
    requested_by_id: str | None = None,
) -> MigrationRecord:
    """Create the migration's record and take its keyring; the caller starts the workflow for it.

    Raises:
        RotationRunningError: a rotation holds the keyring.
        MigrationRunningError: another migration holds it, or one that is not Keyturn's holds a lease.
    """
    await clear_orphan(migrations.documents, keyring, workflows, now)
    await _check_others(migrations, keyring, now)
    record = MigrationRecord(
        rotation_id=new_migration_id(keyring, now),
        keyring=keyring,
        history=[HistoryEntry(at=now, source=None, target=State.REQUESTED, step=0, actor=requested_by)],
        requested_by=requested_by,
        requested_by_id=requested_by_id,
        requested_at=now,
        reason=reason,
        policy=policy,
        instance_id=instance_id_of(keyring),
        fencing_token=0,  # the lease gives it
        work=work,
        dry_run=dry_run,
    )
    return await take(migrations, record)


async def _check_others(migrations: MigrationStore, keyring: str, now: datetime) -> None:
    """Raise MigrationRunningError where a lease is held that the keyring's own lease does not cover."""
    for lease in await active(migrations.documents, keyring, now):
        if not is_migration_id(lease.holder):
            raise MigrationRunningError(
                f"{lease.holder} runs migration {lease.migration} of keyring {keyring}",
                hint="wait until it has ended or its lease has expired",
                keyring=keyring,
                migration=lease.migration,
                holder=lease.holder,
                expiresAt=lease.expires_at.isoformat(),
            )
