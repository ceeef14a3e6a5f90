"""Timer triggers: fires at each occurrence, and once for those that were missed while the host was down."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from local.common.files import write_private
from local.functions_host.durable_binding import ClientBinding
from local.functions_host.functions import Function
from local.functions_host.messages import TypedData
from local.functions_host.schedules import Schedule
from local.functions_host.settings import resolve
from local.functions_host.worker import InvocationError, Worker

LONGEST_SLEEP_SECONDS = 30.0  # so that a clock that is set forward is noticed

_log = logging.getLogger(__name__)


class TimerTriggers:
    """The app's timers, with the status of each kept in a file."""

    def __init__(self, worker: Worker, client: ClientBinding, status_path: Path) -> None:
        self._worker = worker
        self._client = client
        self._path = status_path
        self._status: dict[str, dict[str, str]] = json.loads(status_path.read_text()) if status_path.exists() else {}
        self._schedules = {
            function.name: Schedule(resolve(function.trigger["schedule"], f"function {function.name!r}"), function.name)
            for function in worker.functions
            if function.trigger_type == "timerTrigger" and not function.disabled
        }

    async def run(self) -> None:
        """Fire the timers until cancelled."""
        if not self._schedules:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as timers:
            for function in self._worker.functions:
                if function.name in self._schedules:
                    timers.create_task(self._run_timer(function))

    async def fire(self, function: Function, *, past_due: bool) -> None:
        """Run a timer's function now; as in Azure a failure is logged and the next occurrence comes as planned."""
        request = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status.get(function.name),
            "IsPastDue": past_due,
        }
        inputs = {function.trigger["name"]: TypedData(json=json.dumps(request))} | self._client.inputs(function)
        try:
            await self._worker.invoke(function, inputs)
        except InvocationError:
            _log.warning("The timer %s failed; it is not tried again before its next occurrence", function.name)

    async def _run_timer(self, function: Function) -> None:
        schedule, monitored = self._schedules[function.name], self._is_monitored(function)
        if function.trigger.get("runOnStartup"):
            await self.fire(function, past_due=False)
        if monitored and self._missed(function):
            await self.fire(function, past_due=True)
            self._record(function, schedule, ran=datetime.now(UTC))
        elif monitored:
            self._record(function, schedule, ran=None)
        while True:
            due = schedule.after(datetime.now(UTC))
            await _sleep_until(due)
            await self.fire(function, past_due=False)
            if monitored:
                self._record(function, schedule, ran=due)

    def _is_monitored(self, function: Function) -> bool:
        return function.trigger.get("useMonitor", True) and self._schedules[function.name].is_monitored(
            datetime.now(UTC)
        )

    def _missed(self, function: Function) -> bool:
        status = self._status.get(function.name)
        return status is not None and datetime.fromisoformat(status["Next"]) <= datetime.now(UTC)

    def _record(self, function: Function, schedule: Schedule, *, ran: datetime | None) -> None:
        now = datetime.now(UTC)
        last = ran.isoformat() if ran is not None else self._status.get(function.name, {}).get("Last", _NEVER)
        self._status[function.name] = {
            "Last": last,
            "Next": schedule.after(now).isoformat(),
            "LastUpdated": now.isoformat(),
        }
        write_private(self._path, json.dumps(self._status).encode())


_NEVER = datetime.min.replace(tzinfo=UTC).isoformat()  # what the real host says of a timer that has not run


async def _sleep_until(moment: datetime) -> None:
    while (seconds := (moment - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - no event tells the wall clock
        await asyncio.sleep(min(seconds, LONGEST_SLEEP_SECONDS))
