"""Start a migration: clear away a run that lost its workflow, and take the keyring together with the record."""

from datetime import datetime

from keyturn.contracts.base import Policy
from keyturn.contracts.migrations import Work
from keyturn.contracts.states import State
from keyturn.errors import MigrationRunningError
from keyturn.ids import RunKind, instance_id_of, kind_of, new_run_id
from keyturn.rotation.start import Workflows, resume_orphan
from keyturn.runs.idempotency import claim
from keyturn.runs.lease import take
from keyturn.runs.migration_leases import active
from keyturn.runs.record import digest_of
from keyturn.runs.record_parts import HistoryEntry, Plan
from keyturn.runs.records import MigrationRecord
from keyturn.runs.store import MigrationStore


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
    idempotency_key: str | None = None,
    plan: Plan | None = None,
) -> MigrationRecord:
    """Create the migration's record and take its keyring; the caller starts the workflow for it.

    With a key that was used for the same request before, the record of then is returned.

    Raises:
        IdempotencyConflictError: the key was used for another request.
        RotationRunningError: a rotation holds the keyring.
        MigrationRunningError: another migration holds it, or one that is not Keyturn's holds a lease.
    """
    migration_id = new_run_id(RunKind.MIGRATION, keyring, now)
    if idempotency_key is not None:
        who = {"caller": requested_by_id or requested_by, "keyring": keyring}
        by = {"keyring": keyring, "requestedBy": requested_by}
        hashed = digest_of({**by, "work": work.to_payload(), "reason": reason, "dryRun": dry_run})
        migration_id = await claim(
            migrations.documents, idempotency_key, **who, request_hash=hashed, run_id=migration_id, now=now
        )
        if (earlier := await migrations.find(migration_id)) is not None:
            return earlier
    await resume_orphan(migrations.documents, keyring, workflows, now)
    await _check_others(migrations, keyring, now)
    record = MigrationRecord(
        run_id=migration_id,
        keyring=keyring,
        history=[HistoryEntry(at=now, source=None, target=State.REQUESTED, step=0, actor=requested_by)],
        requested_by=requested_by,
        requested_by_id=requested_by_id,
        requested_at=now,
        reason=reason,
        policy=policy,
        instance_id=instance_id_of(RunKind.MIGRATION, keyring),
        fencing_token=0,  # the lease gives it
        work=work,
        dry_run=dry_run,
        plan=plan,
    )
    return await take(migrations, record)


async def _check_others(migrations: MigrationStore, keyring: str, now: datetime) -> None:
    """Raise MigrationRunningError where a lease is held that the keyring's own lease does not cover."""
    for lease in await active(migrations.documents, keyring, now):
        if kind_of(lease.holder) is not RunKind.MIGRATION:
            raise MigrationRunningError(
                f"{lease.holder} runs migration {lease.migration} of keyring {keyring}",
                hint="wait until it has ended or its lease has expired",
                keyring=keyring,
                migration=lease.migration,
                holder=lease.holder,
                expiresAt=lease.expires_at.isoformat(),
            )
