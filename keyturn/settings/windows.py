"""Maintenance windows: when a rotation may start."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from keyturn.settings.texts import WindowCron


class MaintenanceWindow(BaseModel):
    """A time that opens at every occurrence of a cron expression, in a time zone, and lasts for a duration.

    Day of month and day of week must both match, as in the rotation schedule: ``0 2 1-7 * 6`` is the first Saturday.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    cron: WindowCron
    duration: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=31))]
    time_zone: ZoneInfo = ZoneInfo("UTC")

    def is_open(self, now: datetime) -> bool:
        """Tell whether ``now``, aware of its zone, lies in the window; the end is outside."""
        return now.astimezone(UTC) < self.latest_opening(now) + self.duration

    def latest_opening(self, now: datetime) -> datetime:
        """Return when the window opened last (UTC), at ``now`` at the latest.

        The search goes over the wall clock's times. One that the clocks skip counts as if they had not been put
        forward; one that they show twice counts once, the first time.
        """
        wall_clock = now.astimezone(self.time_zone).replace(tzinfo=None, microsecond=0) + timedelta(seconds=1)
        # Arithmetic over a naive time is arithmetic over UTC for croniter: no shift is applied.
        occurrences = croniter(self.cron, wall_clock, second_at_beginning=True, day_or=False)
        while True:
            before: datetime = occurrences.get_prev(datetime)  # type: ignore[no-untyped-call]  # croniter has no types
            opening = before.replace(tzinfo=self.time_zone, fold=0).astimezone(UTC)
            if opening <= now:
                return opening
