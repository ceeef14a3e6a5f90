"""What the record knows of the new version: the intent to create it, which one it is, and which it replaces."""

from collections.abc import Sequence
from datetime import datetime

from keyturn.contracts.base import RunRef
from keyturn.contracts.passes import CensusResult
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import Provenance, VersionIntent
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore, Runs
from keyturn.runs.transitions import check_live


class RecordedIntent:
    """The intent to create a version, kept in the run's record: a creation's answer may be lost, the intent is not."""

    def __init__(self, runs: RotationStore, ref: RunRef) -> None:
        self._runs = runs
        self._ref = ref

    async def declared(self) -> datetime | None:
        """Return when the intent in force was written, or None."""
        record = await self._runs.read(self._ref.run_id)
        check_live(record, self._ref)
        return record.version_intent.at if record.version_intent is not None else None

    async def declare(self, at: datetime, *, replacing: datetime | None) -> bool:
        """Write the intent if the one in force is still the one that is named; tells whether it was written."""
        written = VersionIntent(at=at)

        def change(record: RotationRecord) -> RotationRecord:
            check_live(record, self._ref)
            known = record.version_intent.at if record.version_intent is not None else None
            return record.changed(version_intent=written) if known == replacing else record

        return (await self._runs.update(self._ref.run_id, change)).version_intent == written


async def record_new_version(
    runs: RotationStore,
    ref: RunRef,
    version: str,
    old_versions: Sequence[str],
    census: CensusResult,
    provenance: Provenance,
) -> None:
    """Write down the new version, the enabled versions that it replaces, and the rows that are to be moved onto it."""

    def change(record: RotationRecord) -> RotationRecord:
        check_live(record, ref)
        if record.target_version is not None:
            return record
        return record.changed(
            target_version=version, old_versions=list(old_versions), census=census, provenance=provenance
        )

    await runs.update(ref.run_id, change)


async def record_census[R: RunRecord](runs: Runs[R], ref: RunRef, census: CensusResult) -> None:
    """Write down the latest census, unless the run has ended."""

    def change(record: R) -> R:
        check_live(record, ref)
        return record if record.ended or record.census == census else record.changed(census=census)

    await runs.update(ref.run_id, change)
