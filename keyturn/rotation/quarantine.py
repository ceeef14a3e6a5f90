"""Name quarantined rows in the run's record."""

from collections.abc import Sequence

from keyturn.contracts import QuarantinedRow, RotationRef
from keyturn.rotation.progress import with_quarantined
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.run_store import Runs
from keyturn.rotation.transitions import check_token


async def record_quarantined[R: RunRecord](runs: Runs[R], ref: RotationRef, rows: Sequence[QuarantinedRow]) -> None:
    """Name the rows, the same row once.

    Raises:
        FencedError: the run is not the one that this input belongs to.
    """

    def change(record: R) -> R:
        check_token(record, ref)
        return record if record.ended else with_quarantined(record, rows)

    await runs.update(ref.rotation_id, change)
