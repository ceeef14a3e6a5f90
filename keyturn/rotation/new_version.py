"""What the record knows of the new version: the intent to create it, which one it is, and which it replaces.

A rotation that ended before its work was done has made a version and moved rows onto it. The next one adopts both.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from keyturn.contracts.base import RunRef
from keyturn.contracts.migrations import DocumentWork
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.states import State
from keyturn.errors import NotSettledError
from keyturn.runs import record_parts, store
from keyturn.runs.record import RunRecord
from keyturn.runs.records import ADOPTED_MAX, MigrationRecord, RotationRecord
from keyturn.runs.transitions import check_live, update_live

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
