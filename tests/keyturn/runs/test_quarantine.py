"""Quarantined rows in the record: named once, counted beyond a hundred, gone with the pass that finds them sound."""

from datetime import datetime, timedelta

from keyturn.contracts.pages import QuarantinedRow
from keyturn.contracts.states import State
from keyturn.runs.progress import record_quarantined, with_quarantined
from keyturn.runs.record_parts import (
    NAMED_ROWS_MAX,
    Quarantined,
)
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import NOW, step_to
from tests.keyturn.runs.waves import report_wave, sweeping


async def test_quarantined_rows_are_named_once_and_counted_beyond_a_hundred(runs: RotationStore) -> None:
    """The same row twice is one; the first hundred are named, and the pass's own count goes beyond them."""
    record = await sweeping(runs)
    rows = [QuarantinedRow(id=f"row-{number}", reason="malformed") for number in range(150)]
    record = await runs.update(record.run_id, lambda run: with_quarantined(run, rows[:2]))
    assert record is with_quarantined(record, rows[:2])
    named = with_quarantined(record, rows)
    await runs.update(record.run_id, lambda run: with_quarantined(run, rows))

    counted = await report_wave(runs, record, 1, quarantined=150)

    assert NAMED_ROWS_MAX == named.quarantined.count == len(named.quarantined.named)
    assert named is with_quarantined(named, rows)
    assert (150, rows[:NAMED_ROWS_MAX]) == (counted.quarantined.count, counted.quarantined.named)


ROW, OTHER = QuarantinedRow(id="row", reason="malformed_wrap"), QuarantinedRow(id="other", reason="unproven")

SECOND = NOW + timedelta(minutes=1)


async def quarantine(
    runs: RotationStore, record: RotationRecord, *rows: QuarantinedRow, began: datetime | None = NOW
) -> RotationRecord:
    """Name rows, as a page of the pass that began then does."""
    await record_quarantined(runs, record.ref, rows, began)
    return await runs.read(record.run_id)


async def test_a_row_that_was_repaired_is_quarantined_no_longer(runs: RotationStore) -> None:
    """The next pass over all rows finds none, and the run goes on to its retirement."""
    record = await quarantine(runs, await sweeping(runs), ROW)
    first = await report_wave(runs, record, 1, quarantined=1, final=True)

    clean = await report_wave(runs, record, 1, began=SECOND, number=2, final=True)
    late = await quarantine(runs, record, ROW)

    assert (first.quarantined.count, clean.quarantined, late) == (1, Quarantined(since=SECOND), clean)
    for target in (State.SOAKING, State.AWAITING_APPROVAL, State.RETIRING):
        record = await step_to(runs, record if target is not State.SOAKING else clean, target)
    assert record.state is State.RETIRING


async def test_the_rows_of_the_newest_pass_count(runs: RotationStore) -> None:
    """A page of the newer pass replaces what the older one met, and the last wave counts exactly what the pass has."""
    record = await quarantine(runs, await sweeping(runs), ROW, OTHER)
    newer = await quarantine(runs, record, OTHER, began=SECOND)

    # The page ran twice, and the row was repaired in between.
    wave = await report_wave(runs, record, 1, began=SECOND, number=2, quarantined=0)
    last = await report_wave(runs, record, 2, began=SECOND, number=2, quarantined=0, final=True)

    assert (newer.quarantined.named, wave.quarantined.count) == ([OTHER], 1)
    assert (last.quarantined.count, last.quarantined.named) == (0, [])


async def test_what_a_proof_met_no_sweep_takes_away(runs: RotationStore) -> None:
    """A sweep does not look at rows on the target: only the proof can tell that one of them is sound again."""
    record = await quarantine(runs, await sweeping(runs), OTHER, began=None)

    swept = await report_wave(runs, record, 1, began=SECOND, number=2, final=True)
    both = await quarantine(runs, swept, ROW, began=SECOND)

    assert (swept.quarantined.count, swept.quarantined.named) == (1, [OTHER])
    assert (both.quarantined.count, both.quarantined.named) == (2, [OTHER, ROW])
