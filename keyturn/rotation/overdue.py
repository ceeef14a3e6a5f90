"""Is a rotation overdue? Whatever keeps it - nobody decides, it is blocked, it fails - somebody must hear of it.

The word has this one meaning everywhere: in health, the list of keyrings, the metric, and what people are told. What
is *due*, which the schedule's tick starts, is another question (:mod:`keyturn.rotation.schedule`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from keyturn.rotation.record import RotationRecord
from keyturn.rotation.schedule import next_occurrence
from keyturn.rotation.states import State


def last_completed(records: Sequence[RotationRecord]) -> datetime | None:
    """Return when the newest of the rotations that did their work was completed."""
    return max((record.ended_at for record in records if _did_its_work(record) and record.ended_at), default=None)


def overdue_since(
    schedule: str,
    records: Sequence[RotationRecord],
    after: timedelta,
    now: datetime,
    *,
    made: datetime | None,
) -> datetime | None:
    """Return since when a rotation has been due, if that is longer ago than it may take, else None.

    Due is the first occurrence of the schedule after the last rotation that was completed; where none was, the first
    attempt. Of a keyring that nobody ever tried to rotate, it is the first occurrence after the MEK was ``made``; None
    where nothing tells when that was.

    Raises:
        SettingsError: the schedule is not an NCRONTAB expression of six fields.
    """
    attempts = [record.requested_at for record in records if not record.options.dry_run]
    since = last_completed(records) or (None if attempts else made)
    if since is None and not attempts:
        return None
    due = min(attempts) if since is None else next_occurrence(schedule, since)
    return due if now - due > after else None


def _did_its_work(record: RotationRecord) -> bool:
    return record.state is State.COMPLETED and not record.options.dry_run
