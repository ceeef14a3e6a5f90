"""How far a run's passes are, and which rows are quarantined, as its record tells.

The numbers are absolute and a row is named once, so a repeated write changes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from keyturn.contracts import base, pages
from keyturn.contracts.passes import ProgressInput
from keyturn.runs import store, transitions
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import NAMED_ROWS_MAX, SAMPLES_MAX, PhaseProgress, Quarantined, Sample


async def record_progress[R: RunRecord](
    runs: store.Runs[R], progress: ProgressInput, now: datetime, documents: int | None = None
) -> R:
    """Store how far the pass is; a late repetition of an earlier wave or pass is left out.

    ``documents`` is how many there are in the container, where a pass over documents begins.

    Raises:
        FencedError: the run has ended, or is not the one that this input belongs to.
    """

    def change(record: R) -> R:
        known = record.progress.get(progress.phase)
        if known is not None and _order(progress) <= (known.started_at, known.wave):
            return record
        return _with_progress(record, known, progress, now, documents)

    return await transitions.update_live(runs, progress.run, change)


def _order(progress: ProgressInput) -> tuple[datetime, int]:
    # The passes of a rotation follow each other, so their starting times order them.
    return progress.pass_started_at, progress.wave


def is_newest(record: RunRecord, progress: ProgressInput) -> bool:
    """Tell whether the record's progress is that of this wave, and not of one that followed it."""
    known = record.progress.get(progress.phase)
    return known is not None and (known.started_at, known.wave) == _order(progress)


def _with_progress[R: RunRecord](
    record: R, known: PhaseProgress | None, progress: ProgressInput, now: datetime, documents: int | None
) -> R:
    current = progress.totals.model_copy(update={"session_tokens": {}})
    if known is None:
        earlier, total = pages.PageResult(), record.rows_to_begin_with(progress.phase)
    elif known.started_at == progress.pass_started_at:
        earlier, total = known.earlier, known.rows_total
    else:
        earlier, total = known.totals, known.rows_total
    done = pages.add_results(earlier, current)
    phase = progress.shown_as(
        PhaseProgress,
        current=current,
        earlier=earlier,
        rows_total=total if documents is None else documents,
        started_at=progress.pass_started_at,
        updated_at=now,
        samples=sampled(known.samples if known is not None else [], Sample(at=now, rows=done.changed)),
    )
    changed = record.changed(
        progress={**record.progress, progress.phase: phase}, quarantined=_quarantined(record, progress)
    )
    return changed.after_sweep(phase) if progress.phase == "sweep" else changed


def sampled(samples: Sequence[Sample], newest: Sample) -> list[Sample]:
    """Return the samples with another one; where they become too many, every second is left out, never the ends."""
    kept = [*samples, newest]
    return kept if len(kept) <= SAMPLES_MAX else [*kept[:-1:2], newest]


def _quarantined(record: RunRecord, progress: ProgressInput) -> Quarantined:
    """Return what is quarantined after the wave; at the end of a sweep, exactly what it has met, and proofs before."""
    began, met = progress.quarantines_since, progress.totals.quarantined
    if (known := _met_since(record, began)) is None:
        return record.quarantined
    exact = progress.final and began is not None and not known.others
    count = met if exact else max(met, known.count)
    return known.model_copy(update={"count": count, "named": known.named if count else []})


def _met_since(record: RunRecord, began: datetime | None) -> Quarantined | None:
    """Return what a pass adds to: nothing where it is a new one, which meets all again; or None where it is late."""
    known = record.quarantined
    if began is None or began == known.since:
        return known
    if known.since is not None and began < known.since:
        return None
    return known.model_copy(update={"since": began}) if known.others else Quarantined(since=began)


def with_quarantined[R: RunRecord](record: R, rows: Iterable[pages.QuarantinedRow], began: datetime | None = None) -> R:
    """Return the record naming these rows too, the same row once; those beyond the first hundred are only counted.

    ``began`` is when the pass began that met them, where it meets again all that earlier ones met. The count of a pass
    with more than a hundred comes with its progress.
    """
    if (known := _met_since(record, began)) is None:
        return record
    named = {row.id: row for row in known.named}
    listed = [*named.values(), *{row.id: row for row in rows if row.id not in named}.values()][:NAMED_ROWS_MAX]
    if len(listed) == len(named):
        return record
    others = known.others + (len(listed) - len(named) if began is None else 0)
    count = max(known.count, len(listed))
    return record.changed(quarantined=Quarantined(since=known.since, count=count, others=others, named=listed))


async def record_quarantined[R: RunRecord](
    runs: store.Runs[R], ref: base.RunRef, rows: Sequence[pages.QuarantinedRow], began: datetime | None = None
) -> None:
    """Name the rows, as :func:`with_quarantined` does.

    Raises:
        FencedError: the run has ended, or is not the one that this input belongs to.
    """
    await transitions.update_live(runs, ref, lambda record: with_quarantined(record, rows, began))
