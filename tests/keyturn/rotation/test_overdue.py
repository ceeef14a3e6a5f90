"""When a rotation is overdue: due for longer than it may take, whatever keeps it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.contracts.states import State
from keyturn.rotation.due import last_completed, overdue_since
from keyturn.runs.record_parts import RequestOptions
from keyturn.runs.records import RotationRecord
from tests.keyturn.runs.lifecycle import make_record

MONTHLY = "0 0 3 1 * *"
AFTER = timedelta(days=10)


def day(text: str) -> datetime:
    """Return a day of 2026 at four in the morning."""
    return datetime.fromisoformat(f"2026-{text}T04:00:00").replace(tzinfo=UTC)


def run(requested: str, state: State = State.BLOCKED, ended: str | None = None, **fields: Any) -> RotationRecord:
    """Return a rotation of that day."""
    return make_record(requested_at=day(requested), state=state, ended_at=day(ended) if ended else None, **fields)


COMPLETED = run("02-01", State.COMPLETED, "02-03")
DRY_RUN = run("01-01", State.COMPLETED, "01-01", options=RequestOptions(dry_run=True))


@pytest.mark.parametrize(
    ("sentence", "records", "made", "now", "expected"),
    [
        ("nobody has ever tried, and nothing tells how old the MEK is", [], None, "03-20", None),
        ("nobody has ever tried, and the MEK is new", [], "02-02", "03-09", None),
        ("nobody has ever tried, and the MEK is old", [], "02-02", "03-12", datetime(2026, 3, 1, 3, tzinfo=UTC)),
        ("the month's rotation is completed", [COMPLETED], "01-01", "02-25", None),
        ("the next is due, and has its time", [COMPLETED], "01-01", "03-09", None),
        ("the next is due for too long", [COMPLETED], "01-01", "03-12", datetime(2026, 3, 1, 3, tzinfo=UTC)),
        (
            "it is tried every day, and blocked",
            [run("03-12"), run("03-02"), COMPLETED],
            "01-01",
            "03-12",
            datetime(2026, 3, 1, 3, tzinfo=UTC),
        ),
        ("it was completed late", [run("03-02", State.COMPLETED, "03-11"), COMPLETED], "01-01", "03-30", None),
        ("the first ever is still at work", [run("03-01", State.SOAKING)], "01-01", "03-02", None),
        ("the first ever never came to its end", [run("03-05"), run("03-01")], "01-01", "03-12", day("03-01")),
        ("only dry runs were made", [DRY_RUN], None, "03-12", None),
        ("only dry runs were made, of an old MEK", [DRY_RUN], "01-01", "03-12", datetime(2026, 2, 1, 3, tzinfo=UTC)),
    ],
)
def test_overdue(
    sentence: str, records: list[RotationRecord], made: str | None, now: str, expected: datetime | None
) -> None:
    """A rotation is overdue from when it was due, once it has had its time."""
    assert overdue_since(MONTHLY, records, AFTER, day(now), made=day(made) if made else None) == expected, sentence


def test_a_schedule_that_is_more_frequent_than_a_rotation_takes_can_be_missed_too() -> None:
    """With a daily schedule, a rotation that was not completed for the time it may take is overdue."""
    assert overdue_since("0 0 3 * * *", [COMPLETED], AFTER, day("02-15"), made=None) == datetime(
        2026, 2, 4, 3, tzinfo=UTC
    )


def test_a_dry_run_completes_nothing() -> None:
    """Only a rotation that did its work counts as completed."""
    assert last_completed([run("03-01", State.COMPLETED, "03-02", options=DRY_RUN.options), COMPLETED]) == day("02-03")
