"""Durable triggers, the durable client binding and the extension's endpoints through the host."""

import json

import pytest

from tests.local.functions_host.conftest import StartHost
from tests.local.functions_host.host_process import KEYS, SampleHost, wait_until
from tests.local.task_hub.hub_process import HubProcess

JSON = {"Content-Type": "application/json"}


def test_fan_out_runs_as_many_activities_as_host_json_allows(start_host: StartHost) -> None:
    """All activities run, never more than the three at once that host.json sets."""
    host = start_host({"SAMPLE_WORK_SECONDS": "0.05"})
    host.start("fan_out", "bounded", 12)
    output = host.wait_for("bounded")["output"]

    spans = [tuple(map(float, line.split())) for line in host.lines("spans")]
    together = [sum(began <= moment < ended for began, ended in spans) for moment, _ in spans]
    assert [number * number for number in range(12)] == output
    assert max(together) == 3


def test_a_held_activity_waits_until_it_is_released(host: SampleHost) -> None:
    """Of three activities the last two are held: they run when the rule is cleared, and not before."""
    host.arm(operation="work", kind="hold", skip=1, count=None)
    before = len(host.lines("work"))
    host.start("fan_out", "held", 3)
    wait_until(lambda: sum(rule["fired"] for rule in host.call("GET", "/_control/faults").json) == 2, "two to be held")
    wait_until(lambda: len(host.lines("work")) == before + 1, "one to run")

    host.release()

    assert host.wait_for("held")["output"] == [0, 1, 4]
    assert len(host.lines("work")) == before + 3


def test_activity_failure_shows_its_type_and_first_line(host: SampleHost) -> None:
    """An orchestration sees a Python exception as the durable extension passes it on: bare type name, one line."""
    host.start("failing", "failing")

    assert host.wait_for("failing")["output"] == {"type": "ValueError", "message": "first line"}


@pytest.mark.parametrize("name", ["missing", "no_such_orchestrator"])
def test_unknown_function_fails_the_instance(host: SampleHost, name: str) -> None:
    """An orchestration that does not exist, or calls an activity that does not, fails and says why."""
    host.start(name, name)

    assert "doesn't exist" in host.wait_for(name, "Failed")["output"]


def test_an_event_that_is_too_large_is_refused(host: SampleHost) -> None:
    """The task hub's limit of a mebibyte is told to who raises the event; the instance waits on."""
    host.start("approval", "large-event")
    host.wait_for("large-event", "Running")
    event = json.dumps({"by": "x" * 2**20}).encode()

    answer = host.call("POST", host.instance("large-event", "/raiseEvent/Approved"), event, JSON)

    assert answer.status == 400
    assert f"input has {len(event)} bytes" in answer.json["Message"]
    assert host.wait_for("large-event", "Running")["output"] is None


def test_event_sub_orchestration_and_client_binding(host: SampleHost) -> None:
    """An event that the extension raises reaches the orchestration, whose child's activity has a durable client."""
    started = host.start("approval", "approval")
    waiting = host.wait_for("approval", "Running")
    event = host.call("POST", host.instance("approval", "/raiseEvent/Approved"), b'{"by": "me"}', JSON)
    finished = host.wait_for("approval")

    assert (started.status, started.headers["Retry-After"], event.status) == (202, "10", 202)
    assert started.headers["Location"].startswith(host.process.url + host.instance("approval").split("?")[0])
    assert waiting["customStatus"] == "waiting"
    assert finished["output"] == "hello me from samplehub"


def test_an_ended_instance_can_be_purged(host: SampleHost) -> None:
    """What runs is not purged; what has ended is, and nothing of it is known any more."""
    host.start("approval", "purged")
    host.wait_for("purged", "Running")
    running = host.call("DELETE", host.instance("purged"))
    host.call("POST", host.instance("purged", "/terminate") + "&reason=enough")
    host.wait_for("purged", "Terminated")
    ended = host.call("DELETE", host.instance("purged"))

    assert (running.status, ended.status, ended.json) == (404, 200, {"instancesDeleted": 1})
    assert host.call("GET", host.instance("purged")).status == 404


def test_status_follows_the_extension(host: SampleHost) -> None:
    """A live instance is 202 with where and when to ask again, an ended one 200; input and history are optional."""
    host.start("approval", "asked")
    live = host.call("GET", host.instance("asked"))
    host.call("POST", host.instance("asked", "/terminate") + "&reason=enough")
    ended = host.wait_for("asked", "Terminated")
    full = host.call("GET", host.instance("asked") + "&showHistory=true&showInput=false")

    assert (live.status, live.headers["Retry-After"]) == (202, "5")
    assert live.headers["Location"] == host.process.url + host.instance("asked")
    assert (ended["name"], ended["output"]) == ("approval", "enough")
    assert (full.status, full.json["input"]) == (200, None)
    assert "ExecutionTerminated" in [event["EventType"] for event in full.json["historyEvents"]]


@pytest.mark.parametrize("key", [None, "function", "host"])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", "/raiseEvent/x"), ("POST", "/terminate")])
def test_extension_needs_the_system_key(host: SampleHost, method: str, rest: str, key: str | None) -> None:
    """Status, raiseEvent and terminate are 401 with any key but the system or master key."""
    answer = host.call(method, host.instance("any", rest, key=KEYS[key] if key else ""), b"{}", JSON)

    assert answer.status == 401


def test_event_needs_a_live_instance_and_json(host: SampleHost) -> None:
    """An event for an unknown instance is 404, for an ended one 410, and one that is not JSON 400."""
    host.start("fan_out", "ended", 1)
    host.wait_for("ended")
    host.start("approval", "live")
    path = "/raiseEvent/Approved"
    statuses = [
        host.call("POST", host.instance("unknown", path), b"{}", JSON).status,
        host.call("POST", host.instance("ended", path), b"{}", JSON).status,
        host.call("POST", host.instance("live", path), b"{}", {"Content-Type": "text/plain"}).status,
        host.call("POST", host.instance("live", path), b"{", JSON).status,
    ]
    host.call("POST", host.instance("live", "/terminate"))

    assert statuses == [404, 410, 400, 400]


def test_host_finds_a_hub_that_was_away(start_host: StartHost, own_hub: HubProcess) -> None:
    """Health is 503 while the task hub is away; once it is back the host takes work from it again."""
    host = start_host()
    own_hub.stop()
    wait_until(lambda: host.call("GET", "/_control/health").status == 503, "the host to miss its hub")
    own_hub.start()
    wait_until(lambda: host.call("GET", "/_control/health").status == 200, "the host to find its hub")
    host.start("fan_out", "after", 2)

    assert host.wait_for("after")["output"] == [0, 1]


def test_entity_keeps_its_state(host: SampleHost) -> None:
    """Operations of an entity are run by its function, found by its name in any case, and keep its state."""
    host.start("counting", "counted", "counter")

    assert host.wait_for("counted")["output"] == [2, 5]


def test_unknown_entity_fails_the_caller(host: SampleHost) -> None:
    """An operation of an entity that does not exist fails the orchestration that called it."""
    host.start("counting", "uncounted", "no_such_entity")

    assert "doesn't exist" in host.wait_for("uncounted", "Failed")["output"]


def test_a_disabled_activity_is_none(start_host: StartHost) -> None:
    """The orchestration is told what it is told of an activity that does not exist."""
    host = start_host({"AzureWebJobs.work.Disabled": "true"})
    host.start("fan_out", "disabled", 1)

    failed = host.wait_for("disabled", "Failed")
    assert "The activity function 'work' doesn't exist, is disabled" in failed["output"]
    assert host.lines("work") == []
