"""The new version: the intent to create it, its backup and first use, and what the record knows of it.

A version is in use from the moment in which it is enabled: writers take the newest that is. So it is enabled only once
a backup has it: there is never a row under a version that no backup could bring back.

A rotation that ended before its work was done has made a version and moved rows onto it. The next one adopts both.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from keyturn.clock import Clock
from keyturn.contracts.base import RunRef
from keyturn.contracts.migrations import DocumentWork
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.states import State
from keyturn.errors import FencedError, KeyturnError, NotSettledError
from keyturn.key_vault import creation
from keyturn.key_vault.versions import is_unused
from keyturn.keyring_clients import KeyringClients
from keyturn.preflight.checks import KEY_BACKUP, waiver_of
from keyturn.rotation.retirement import kept_disabled
from keyturn.runs import record_parts, store
from keyturn.runs.record import RunRecord
from keyturn.runs.records import ADOPTED_MAX, MigrationRecord, RotationRecord
from keyturn.runs.transitions import check_live, update_live

_log = logging.getLogger(__name__)

_MOVING = frozenset({State.CREATING_VERSION, State.SWEEPING})


class RecordedIntent:
    """The intent to create a version, kept in the run's record: a creation's answer may be lost, the intent is not."""

    def __init__(self, runs: store.RotationStore, ref: RunRef) -> None:
        self._runs = runs
        self._ref = ref

    async def declared(self) -> datetime | None:
        """Return when the intent in force was written, or None."""
        record = await self._runs.read(self._ref.run_id)
        check_live(record, self._ref)
        return _intended(record)

    async def declare(self, at: datetime, *, replacing: datetime | None) -> bool:
        """Write the intent if the one in force is still the one that is named; tells whether it was written."""
        written = record_parts.VersionIntent(at=at)

        def change(record: RotationRecord) -> RotationRecord:
            return record.changed(version_intent=written) if _intended(record) == replacing else record

        return (await update_live(self._runs, self._ref, change)).version_intent == written


def _intended(record: RotationRecord) -> datetime | None:
    return record.version_intent.at if record.version_intent is not None else None


def unfinished(
    earlier: Iterable[RotationRecord], migrations: Iterable[MigrationRecord], now: datetime
) -> list[RotationRecord]:
    """Return, of the keyring's earlier rotations, newest first, those whose version may be adopted.

    Not one after which rows were moved by other means: an overtaken page of such a migration may still move a row off
    the version, and the ETag of a row that the rotation finds in place, and does not write, stops no such page.

    Raises:
        NotSettledError: the creation of one of them may still take effect.
    """
    # A restore, a rollback and a rewrap; the others work on documents.
    moved = [run.fencing_token for run in migrations if not run.dry_run and not isinstance(run.work, DocumentWork)]
    found = list[RotationRecord]()
    for record in earlier:
        if record.retirement_in_force or record.fencing_token < max(moved, default=0):
            break
        intent = record.version_intent if record.target_version is None else None
        if intent is not None and now < intent.at + record.policy.creation_settle:
            raise NotSettledError("an earlier rotation's version may still be created", rotationId=record.run_id)
        if intent is not None or record.target_version is not None:
            found.append(record)
    return found


async def put_into_use(
    runs: store.RotationStore, keyring: KeyringClients, record: RotationRecord, version: str, now: datetime
) -> None:
    """Have a backup that holds the version, then enable it where it was never in use; twice is the same as once.

    Raises:
        FencedError: the run has ended or was overtaken; a version that another has retired since is disabled again.
        KeyturnError: of the kind that the failure means; without a backup only where the check was waived.
    """
    versions = keyring.versions
    found = await creation.readable(versions, version, Clock())  # what it is not, the vault may not back up
    try:
        count = len({*await versions.states(), version})
        await keyring.key_backups.take(record.run_id, versions=count, now=now, new_version=version)
    except KeyturnError as error:
        if waiver_of(record, KEY_BACKUP) is None:
            raise
        _log.warning("rotation %s goes on without a backup of its version: %s", record.run_id, error.message)
    if not is_unused(found):
        return
    await update_live(runs, record.ref, lambda found: found, confirm=True)
    await versions.put_into_use(version)
    # The request may have come late, from a worker that froze: the records say what is to be disabled.
    if (keeper := (await kept_disabled(runs, record.keyring)).get(version)) is not None:
        await versions.disable_for(version, keeper)
        raise FencedError("another rotation has retired the version", rotationId=record.run_id, holder=keeper)


async def record_new_version(
    runs: store.RotationStore,
    ref: RunRef,
    version: str,
    old_versions: Sequence[str],
    census: CensusResult,
    provenance: record_parts.Provenance | None,
    *,
    replacing: str | None = None,
    adopted: Sequence[str] = (),
) -> None:
    """Write down the new version, the enabled versions that it replaces, and the rows that are to be moved onto it.

    Nothing is written where another version is known than the one that it is ``replacing``, or rows are not moved any
    more. Without ``provenance``, which is of the rows before the first was moved, the earlier one stays.
    """

    def change(record: RotationRecord) -> RotationRecord:
        if record.target_version != replacing or record.state not in _MOVING:
            return record
        return record.changed(
            target_version=version,
            old_versions=list(old_versions),
            census=census,
            provenance=provenance or record.provenance,
            adopted=list(adopted)[:ADOPTED_MAX],
        )

    await update_live(runs, ref, change)


async def record_census[R: RunRecord](runs: store.Runs[R], ref: RunRef, census: CensusResult) -> None:
    """Write down the latest census; raises FencedError where the run has ended."""
    await update_live(runs, ref, lambda record: record if record.census == census else record.changed(census=census))
