"""NCRONTAB expressions."""

from datetime import UTC, datetime, timedelta

import pytest

from local.functions_host.schedules import Schedule, ScheduleError

MOMENT = datetime(2026, 11, 24, 14, 30, 15, tzinfo=UTC)  # a Tuesday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 3 1 * *", datetime(2026, 12, 1, 3, tzinfo=UTC)),
        ("*/20 * * * * *", datetime(2026, 11, 24, 14, 30, 20, tzinfo=UTC)),
        ("0 30 14 24 11 *", datetime(2027, 11, 24, 14, 30, tzinfo=UTC)),
        ("0 0 0 13 * FRI", datetime(2027, 8, 13, tzinfo=UTC)),
    ],
)
def test_next_occurrence(expression: str, expected: datetime) -> None:
    """The seconds come first, and a day of the month and one of the week must both match."""
    assert Schedule(expression, "f").after(MOMENT) == expected


@pytest.mark.parametrize(("expression", "expected"), [("0 * * * * *", True), ("*/30 * * * * *", False)])
def test_fast_schedule_is_not_monitored(expression: str, *, expected: bool) -> None:
    """Missed occurrences count only for schedules of a minute or more."""
    assert Schedule(expression, "f").is_monitored(MOMENT) is expected


@pytest.mark.parametrize("expression", ["0 3 1 * *", "0 0 3 L * *", "0 0 25 * * *", "00:05:00", "@daily", ""])
def test_other_expression_is_refused(expression: str) -> None:
    """What is not an NCRONTAB expression with six fields is refused, naming function and expression."""
    with pytest.raises(ScheduleError, match=r"'f'.*six fields"):
        Schedule(expression, "f")


def test_moment_of_another_zone_is_taken_as_utc() -> None:
    """Occurrences are in UTC, whatever the zone of the time asked about."""
    elsewhere = MOMENT.astimezone(tz=datetime.now().astimezone(None).tzinfo)

    assert Schedule("0 0 * * * *", "f").after(elsewhere) - MOMENT == timedelta(minutes=29, seconds=45)
