"""Leases of migrations: documents with an expiry beside the rotations of their keyring.

The keyring's own lease keeps two runs apart. This one tells pre-flight, and migrations by other means, that one is
under way: taken before anything is touched, renewed with every state change and wave, given back at the end. Whatever
a run of ours waits for meanwhile, its lease counts until the run has ended. One of another tool blocks rotations until
it expires. Clocks must agree to much better than that.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import StringConstraints

from keyturn.contracts.migrations import Reencrypt
from keyturn.cosmos.state_container import StateContainer, StoredDocument
from keyturn.errors import InvalidRequestError, MigrationRunningError
from keyturn.ids import RunKind, keyring_of, kind_of
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord

KIND = "migration-lease"
FREE = "(nobody)"  # the holder of a lease that was given back

_MIGRATION = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class MigrationLease(StoredDocument):
    """One migration under way."""

    id: str
    kind: Literal["migration-lease"] = "migration-lease"
    keyring: str
    migration: str
    holder: Annotated[str, StringConstraints(min_length=1, max_length=200)]  # who runs it: a host, a process, a person
    taken_at: datetime
    expires_at: datetime


async def take(
    documents: StateContainer, keyring: str, migration: str, holder: str, *, lasts: timedelta, now: datetime
) -> MigrationLease:
    """Take the lease of a migration: a free one, an expired one, or the holder's own.

    Raises:
        InvalidRequestError: the migration's name is no short lower-case name.
        MigrationRunningError: another holder runs it.
        LostRaceError: others kept changing the lease.
    """
    if _MIGRATION.fullmatch(migration) is None:
        raise InvalidRequestError.expected("migration", "1 to 100 lower-case letters, digits and dashes")
    wanted = MigrationLease(
        id=_id(migration),
        keyring=keyring,
        migration=migration,
        holder=holder,
        taken_at=now,
        expires_at=now + lasts,
    )

    def change(found: MigrationLease | None) -> MigrationLease:
        if found is not None and found.holder != holder and found.expires_at > now:
            raise MigrationRunningError(
                f"{found.holder} runs migration {migration} of keyring {keyring}",
                keyring=keyring,
                migration=migration,
                holder=found.holder,
                expiresAt=found.expires_at.isoformat(),
            )
        return wanted

    return await documents.update(MigrationLease.from_document, keyring, wanted.id, change) or wanted


async def release(documents: StateContainer, lease: MigrationLease) -> None:
    """Give the lease back; nothing happens where the holder does not have it (any more)."""

    def change(found: MigrationLease | None) -> MigrationLease | None:
        if found is None or (found.holder, found.taken_at) != (lease.holder, lease.taken_at):
            return None
        # The app has no right to delete: the document stays, held by no run.
        return found.model_copy(update={"holder": FREE, "expires_at": found.taken_at})

    await documents.update(MigrationLease.from_document, lease.keyring, lease.id, change)


async def active(documents: StateContainer, keyring: str, now: datetime) -> list[MigrationLease]:
    """Return the leases of the keyring's migrations that have not expired or whose run has not ended, by name.

    Raises:
        InvariantError: a document of this kind is no lease; what it stands for is unknown.
    """
    found = await documents.query(keyring, "SELECT * FROM c WHERE c.kind = @kind", {"@kind": KIND})
    leases = [MigrationLease.from_document(document) for document in found]
    held = [lease for lease in leases if lease.expires_at > now or await _is_under_way(documents, lease.holder)]
    return sorted(held, key=lambda lease: lease.migration)


async def _is_under_way(documents: StateContainer, holder: str) -> bool:
    """Tell whether the holder is a migration of ours that has not ended: it may wait for days, and renews nothing."""
    if kind_of(holder) is not RunKind.MIGRATION:
        return False
    run = await documents.find(MigrationRecord.from_document, keyring_of(holder), holder)
    return run is not None and not run.ended


def _id(migration: str) -> str:
    return f"{KIND}.{migration}"


# Renewed with every wave of pages and every state change.
LASTS = timedelta(minutes=15)


async def keep_lease(documents: StateContainer, record: RunRecord, now: datetime) -> None:
    """Take, renew or give back the lease, as the record's state asks; nothing for a rotation.

    Raises:
        MigrationRunningError: another holder runs a migration of this kind.
    """
    if not isinstance(record, MigrationRecord):
        return
    for keyring, name in _leases_of(record):
        holder = record.run_id
        held = await documents.find(MigrationLease.from_document, keyring, _id(name))
        # One of ours that still has it has given the keyring back, and is about to give this back too.
        if held is not None and kind_of(held.holder) is RunKind.MIGRATION and (record.ended == (held.holder == holder)):
            await release(documents, held)
        if not record.ended:
            await take(documents, keyring, name, holder, lasts=LASTS, now=now)


async def is_kept(documents: StateContainer, record: MigrationRecord, now: datetime) -> bool:
    """Tell whether the migration's process showed life lately: by a state change, or by renewing its lease."""
    if now - record.history[-1].at < LASTS:
        return True
    keyring, name = _leases_of(record)[0]
    held = await documents.find(MigrationLease.from_document, keyring, _id(name))
    return held is not None and held.holder == record.run_id and held.expires_at > now


def _leases_of(record: MigrationRecord) -> list[tuple[str, str]]:
    """Return the keyrings that must not rotate meanwhile, and the name of the lease in each."""
    own = (record.keyring, record.work.kind)
    if isinstance(record.work, Reencrypt) and record.work.target_keyring != record.keyring:
        return [own, (record.work.target_keyring, f"{record.work.kind}-from-{record.keyring}")]
    return [own]
