"""NCRONTAB schedules: six fields with the seconds first, in UTC."""
# mypy: allow-untyped-calls
# (croniter ships without types)

import re
from datetime import UTC, datetime, timedelta

from croniter import croniter

FIELDS = 6
NAMES = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT"
ALLOWED = re.compile(rf"(?:[\d*,/-]|{NAMES})+", re.IGNORECASE)  # croniter understands more than NCRONTAB does
SHORTEST_MONITORED = timedelta(minutes=1)  # the real host keeps no status of a faster schedule


class ScheduleError(Exception):
    """A timer's schedule cannot be used."""


class Schedule:
    """A validated schedule."""

    def __init__(self, expression: str, function: str) -> None:
        fields = expression.split()
        if (
            len(fields) != FIELDS
            or not all(ALLOWED.fullmatch(field) for field in fields)
            or not croniter.is_valid(expression, second_at_beginning=True)
        ):
            raise ScheduleError(
                f"function {function!r}: schedule {expression!r} must be an NCRONTAB expression with six fields: "
                "second minute hour day month day-of-week"
            )
        self._expression = expression

    def after(self, moment: datetime) -> datetime:
        """Return the first occurrence after an aware time."""
        schedule = croniter(
            self._expression,
            moment.astimezone(UTC),
            second_at_beginning=True,
            day_or=False,  # NCRONTAB wants the day of the month and that of the week to match, where cron wants either
        )
        found: datetime = schedule.get_next(datetime)
        return found

    def is_monitored(self, moment: datetime) -> bool:
        """Tell whether the real host would keep the status of this schedule: it is not faster than once a minute."""
        first = self.after(moment)
        return self.after(first) - first >= SHORTEST_MONITORED
