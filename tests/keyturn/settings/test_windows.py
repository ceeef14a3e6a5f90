"""Maintenance windows open where the wall clock says so, also when the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from keyturn.settings import MaintenanceWindow

BERLIN = "Europe/Berlin"


def window(cron: str, duration: str, time_zone: str = "UTC") -> MaintenanceWindow:
    """Return a window as settings describe it."""
    return MaintenanceWindow.model_validate({"cron": cron, "duration": duration, "timeZone": time_zone})


def at(text: str, time_zone: str = "UTC", *, fold: int = 0) -> datetime:
    """Return a time of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone), fold=fold)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-11-24T01:59:59", False),
        ("2026-11-24T02:00:00", True),
        ("2026-11-24T05:59:59.999", True),
        ("2026-11-24T06:00:00", False),
    ],
)
def test_a_window_opens_on_time_and_closes_after_its_duration(now: str, is_open: bool) -> None:  # noqa: FBT001 - a case
    """The first instant is inside, the last one is not."""
    assert window("0 2 * * *", "PT4H").is_open(at(now)) == is_open


def test_a_window_may_last_over_midnight() -> None:
    """What counts is the latest opening, whatever day it was."""
    night = window("0 22 * * 5", "PT8H", BERLIN)  # Fridays

    assert night.is_open(at("2026-11-28T05:00:00", BERLIN))
    assert not night.is_open(at("2026-11-27T05:00:00", BERLIN))


def test_seconds_may_be_given_first() -> None:
    """Six fields are read as Azure Functions reads them."""
    opening = window("30 0 2 * * *", "PT1H").latest_start(at("2026-11-24T02:30:00"))

    assert datetime(2026, 11, 24, 2, 0, 30, tzinfo=UTC) == opening


def test_day_of_month_and_day_of_week_must_both_match() -> None:
    """The first Saturday of a month can be said."""
    first_saturday = window("0 2 1-7 * 6", "PT1H")

    assert first_saturday.is_open(at("2026-11-07T02:30:00"))
    assert not first_saturday.is_open(at("2026-11-14T02:30:00"))
    assert not first_saturday.is_open(at("2026-11-03T02:30:00"))


def test_a_window_follows_the_wall_clock_of_its_zone() -> None:
    """Summer and winter differ in UTC, not in Berlin."""
    daily = window("0 2 * * *", "PT1H", BERLIN)

    assert datetime(2026, 7, 1, 0, tzinfo=UTC) == daily.latest_start(at("2026-07-01T12:00:00"))
    assert datetime(2026, 12, 1, 1, tzinfo=UTC) == daily.latest_start(at("2026-12-01T12:00:00"))


def test_a_time_that_the_clocks_skip_opens_all_the_same() -> None:
    """02:30 of 29 March 2026 does not exist in Berlin; the window opens an hour later by the wall clock."""
    daily = window("30 2 * * *", "PT1H", BERLIN)

    assert not daily.is_open(at("2026-03-29T03:10:00", BERLIN))
    assert daily.is_open(at("2026-03-29T03:40:00", BERLIN))


def test_a_time_that_the_clocks_show_twice_opens_once() -> None:
    """02:00 of 25 October 2026 comes twice in Berlin; the window is that of the first."""
    daily = window("0 2 * * *", "PT30M", BERLIN)

    assert daily.is_open(at("2026-10-25T02:10:00", BERLIN, fold=0))
    assert not daily.is_open(at("2026-10-25T02:10:00", BERLIN, fold=1))


def test_the_machines_own_zone_plays_no_part() -> None:
    """The same instant, given in another zone, is the same answer."""
    daily = window("0 2 * * *", "PT1H", "America/New_York")
    inside = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)

    assert daily.is_open(inside)
    assert daily.is_open(inside.astimezone(ZoneInfo("Asia/Tokyo")))
    assert not daily.is_open(inside - timedelta(hours=1))
