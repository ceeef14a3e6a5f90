"""Timers of the sample app: fired by an administrator, on schedule, and late after an absence."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.local.functions_host.conftest import StartHost
from tests.local.functions_host.host_process import KEYS, SampleHost, wait_until

TICK = "/admin/functions/tick"
HOURLY = "0 0 * * * *"
EVERY_SECOND = "* * * * * *"


@pytest.mark.parametrize("key", [None, "function", "host", "system"])
def test_admin_needs_the_master_key(host: SampleHost, key: str | None) -> None:
    """No other key fires a timer."""
    answer = host.call("POST", TICK, b"{}", {"x-functions-key": KEYS[key] if key else ""})

    assert answer.status == 401


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/admin/functions/nothing", b"{}", 404),
        ("/admin/functions/work", b"{}", 400),
        (TICK, b"no json", 400),
        (TICK, b'{"input": 1}', 400),
    ],
)
def test_admin_refuses_what_it_cannot_fire(host: SampleHost, path: str, body: bytes, expected: int) -> None:
    """Unknown functions are 404; functions without a timer and malformed bodies are 400."""
    answer = host.call("POST", path, body, {"x-functions-key": KEYS["master"]})

    assert answer.status == expected


def test_administrator_fires_a_timer(host: SampleHost) -> None:
    """The master key starts the function at once; the run is not past due."""
    answer = host.call("POST", TICK, b'{"input": ""}', {"x-functions-key": KEYS["master"]})
    ticks = wait_until(lambda: host.lines("ticks"), "the timer to run")

    assert (answer.status, json.loads(ticks[0])["pastDue"]) == (202, False)


def test_timer_fires_on_schedule(start_host: StartHost) -> None:
    """A schedule of every second fires and fires again."""
    host = start_host({"SAMPLE_SCHEDULE": EVERY_SECOND})
    ticks = wait_until(lambda: len(host.lines("ticks")) >= 2 and host.lines("ticks"), "two runs")

    assert not any(json.loads(tick)["pastDue"] for tick in ticks)


def test_missed_occurrence_fires_once_and_late(start_host: StartHost) -> None:
    """A host that was down over several occurrences fires once when it is back, past due, and is then on schedule."""
    host = start_host({"SAMPLE_SCHEDULE": HOURLY})
    status_file = host.state / "timers.json"
    wait_until(status_file.exists, "the timer's status")
    host.process.kill()
    status = json.loads(status_file.read_text())
    due = datetime.now(UTC) - timedelta(hours=5)
    status["tick"]["Next"] = due.isoformat()
    status_file.write_text(json.dumps(status))
    host.process.start()
    wait_until(lambda: datetime.fromisoformat(json.loads(status_file.read_text())["tick"]["Next"]) > due, "the status")
    host.process.kill()
    host.process.start()
    host.call("POST", TICK, b"{}", {"x-functions-key": KEYS["master"]})
    ticks = wait_until(lambda: len(host.lines("ticks")) >= 2 and host.lines("ticks"), "the administrator's run")

    assert [json.loads(tick)["pastDue"] for tick in ticks] == [True, False]
    assert json.loads(ticks[0])["status"]["Next"] == due.isoformat()


@pytest.mark.parametrize(("value", "kept"), [("true", False), ("1", False), ("0", True)])
def test_a_disabled_timer_has_no_schedule(start_host: StartHost, value: str, kept: object) -> None:
    """The status of a schedule is kept from the start on; the master key fires the timer in any case."""
    host = start_host({"SAMPLE_SCHEDULE": HOURLY, "AzureWebJobs.tick.disabled": value})
    answer = host.call("POST", TICK, b"{}", {"x-functions-key": KEYS["master"]})
    wait_until(lambda: host.lines("ticks"), "the timer to run")

    assert (answer.status, (host.state / "timers.json").exists()) == (202, kept)
