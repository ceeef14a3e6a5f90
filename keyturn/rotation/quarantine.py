"""Name quarantined rows in the run's record."""

from collections.abc import Sequence

from keyturn.contracts import QuarantinedRow, RotationRef
from keyturn.rotation.progress import with_quarantined
from keyturn.rotation.record import RotationRecord
from keyturn.rotation.run_store import RunStore
from keyturn.rotation.transitions import check_token


async def record_quarantined(runs: RunStore, ref: RotationRef, rows: Sequence[QuarantinedRow]) -> None:
    """Name the rows, the same row once.

    Raises:
        FencedError: the run is not the one that this input belongs to.
    """

    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, ref)
        return record if record.ended else with_quarantined(record, rows)

    await runs.update(ref.rotation_id, change)
