"""What a change of a run's record tells: absolute numbers, and the spans of states that it has left.

Called after a conditional write that succeeded, so a state change is told by the one process that made it.
"""

from collections import defaultdict

from opentelemetry.context import Context

from keyturn.runs.record import RunRecord
from keyturn.telemetry import names
from keyturn.telemetry.signals import record as measure
from keyturn.telemetry.signals import root_of, rotation_context, state_of, tell_span


def record_metrics(before: RunRecord, after: RunRecord) -> None:
    """Tell what this change of the record made known."""
    # With every state all numbers are told again: what a process had not sent yet when it died is not lost for long.
    moved = after.step != before.step
    if moved or after.census != before.census or after.quarantined.count != before.quarantined.count:
        _tell_rows(after)
    if moved or after.progress != before.progress:
        _tell_progress(after)
    if moved:
        _tell_states(after)


def _tell_rows(record: RunRecord) -> None:
    counted = record.census
    rows = {"quarantined": record.quarantined.count}
    if counted is not None:
        rows |= {name: getattr(counted, name) for name in ("on_target", "stale", "unlabelled", "foreign")}
    for state, count in rows.items():
        measure(names.ROWS, count, {names.KEYRING: record.keyring, names.ROW_STATE: state})


def _tell_progress(record: RunRecord) -> None:
    for phase, progress in record.progress.items():
        attributes = {names.KEYRING: record.keyring, names.PHASE: phase}
        measure(names.CHANGED, progress.totals.changed, attributes)
        measure(names.VAULT_CALLS, progress.totals.vault_operations, attributes)
        measure(names.THROTTLES, progress.totals.throttled, attributes)


def _tell_states(record: RunRecord) -> None:
    """Tell the state that was left, all the time spent in states, and at the end the whole run."""
    seconds: dict[str, float] = defaultdict(float)
    for entry, following in zip(record.history, record.history[1:], strict=False):
        seconds[entry.target] += (following.at - entry.at).total_seconds()
    for state, spent in seconds.items():
        measure(names.STATE_SECONDS, spent, {names.KEYRING: record.keyring, names.STATE: state})
    left, entered = record.history[-2:]
    facts = {names.ROTATION: record.run_id, names.KEYRING: record.keyring}
    tell_span(
        f"state {left.target}",
        state_of(record.run_id, left.step),
        rotation_context(record.run_id),
        begun=left.at,
        ended=entered.at,
        attributes={**facts, names.STATE: left.target.value, names.STEP: left.step},
    )
    if record.ended_at is not None:
        tell_span(
            record.kind,
            root_of(record.run_id),
            Context(),
            begun=record.requested_at,
            ended=record.ended_at,
            attributes={**facts, names.STATE: record.state.value},
        )
