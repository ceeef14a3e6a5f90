"""Keeps a migration's lease with its record: taken and renewed while it is under way, given back when it has ended.

The keyring's own lease keeps two runs apart. This one is for those who look: pre-flight, and whoever migrates by other
means, whose lease of the same name ends this migration.
"""

from datetime import datetime, timedelta

from keyturn.contracts import Reencrypt
from keyturn.migrations import leases
from keyturn.migrations.ids import is_migration_id
from keyturn.migrations.record import MigrationRecord
from keyturn.rotation.documents import Documents
from keyturn.rotation.run_record import RunRecord

# Renewed with every wave of pages and every state change.
LASTS = timedelta(minutes=15)


async def keep_lease(documents: Documents, record: RunRecord, now: datetime) -> None:
    """Take, renew or give back the lease, as the record's state asks; nothing for a rotation.

    Raises:
        MigrationRunningError: somebody else runs a migration of this kind.
    """
    if not isinstance(record, MigrationRecord):
        return
    for keyring, name in _leases_of(record):
        holder = record.rotation_id
        held = await leases.find(documents, keyring, name)
        # One of ours that still has it has given the keyring back, and is about to give this back too.
        if held is not None and is_migration_id(held.holder) and (record.ended == (held.holder == holder)):
            await leases.release(documents, held)
        if not record.ended:
            await leases.take(documents, keyring, name, holder, lasts=LASTS, now=now)


def _leases_of(record: MigrationRecord) -> list[tuple[str, str]]:
    """Return the keyrings that must not rotate meanwhile, and the name of the lease in each."""
    own = (record.keyring, record.work.kind)
    if isinstance(record.work, Reencrypt) and record.work.target_keyring != record.keyring:
        return [own, (record.work.target_keyring, f"{record.work.kind}-from-{record.keyring}")]
    return [own]
