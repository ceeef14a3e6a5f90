"""When a rotation is due: an occurrence of the schedule has passed since the last one of the keyring began.

So a missed month is caught up, once, however many occurrences were missed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from croniter import CroniterError, croniter

from keyturn.contracts.states import State
from keyturn.errors import SettingsError
from keyturn.runs.records import RotationRecord

_FIELDS = 6  # NCRONTAB: second minute hour day month day-of-week

# These left the month's work undone by themselves; every other end is a person's decision, or the work done.
_NOT_DONE = frozenset({State.BLOCKED, State.FAILED})


def due(schedule: str, last_began: datetime | None, now: datetime) -> datetime | None:
    """Return the newest occurrence (UTC) if no rotation began at or after it, else None; raises SettingsError."""
    occurrence = latest_occurrence(schedule, now)
    return occurrence if last_began is None or last_began < occurrence else None


def latest_occurrence(schedule: str, now: datetime) -> datetime:
    """Return the newest occurrence (UTC) that is not after ``now``; raises SettingsError."""
    # The search goes strictly backwards, and an occurrence at this very second counts.
    after = now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return _occurrence(schedule, after, forwards=False)


def next_occurrence(schedule: str, now: datetime) -> datetime:
    """Return the first occurrence (UTC) after ``now``; raises SettingsError."""
    return _occurrence(schedule, now.astimezone(UTC), forwards=True)


def _occurrence(schedule: str, start: datetime, *, forwards: bool) -> datetime:
    if len(schedule.split()) != _FIELDS:
        raise _unreadable(schedule)
    try:
        # NCRONTAB fires where day of month and day of week both match; cron where either does.
        times = croniter(schedule, start, second_at_beginning=True, day_or=False)
        found = (times.get_next if forwards else times.get_prev)(float)  # type: ignore[no-untyped-call]  # croniter ships no types for it
    except CroniterError as error:
        raise _unreadable(schedule) from error
    return datetime.fromtimestamp(found, UTC)


def _unreadable(schedule: str) -> SettingsError:
    expected = "six fields: second minute hour day month day-of-week"
    text = f"ROTATION_SCHEDULE is {schedule!r}: expected {expected}"
    return SettingsError(text, variable="ROTATION_SCHEDULE", value=schedule, expected=expected)


def did_its_work(record: RotationRecord) -> bool:
    """Tell whether the rotation moved every row and was completed."""
    return record.state is State.COMPLETED and not record.options.dry_run


def last_began(records: Iterable[RotationRecord]) -> datetime | None:
    """Return when the newest rotation began that counts for its month: no dry run, neither blocked nor failed."""
    began = [record.requested_at for record in records if not record.options.dry_run and record.state not in _NOT_DONE]
    return max(began, default=None)
