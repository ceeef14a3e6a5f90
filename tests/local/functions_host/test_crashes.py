"""The host killed in the middle of things, and started again on the same port and state."""

import os
import signal
from contextlib import suppress
from http import HTTPStatus

import pytest

from tests.local.functions_host.conftest import StartHost
from tests.local.functions_host.host_process import SampleHost, wait_until
from tests.local.task_hub.hub_process import HubProcess


def test_fan_out_survives_a_kill(start_host: StartHost) -> None:
    """A host that is killed in the middle of a fan-out and started again completes it, with every effect present."""
    host = start_host()
    host.arm(operation="work", kind="hold", skip=5, count=None)
    host.start("fan_out", "killed", 15)
    wait_until(lambda: len(host.lines("work")) >= 5, "some activities to run")
    host.process.kill()
    before = len(host.lines("work"))
    host.process.start()

    assert host.wait_for("killed")["output"] == [number * number for number in range(15)]
    assert {int(line) for line in host.lines("work")} == set(range(15))
    assert before == 5


@pytest.mark.parametrize(
    ("kind", "function", "runs"),
    [
        ("kill_before", "work", 1),
        ("kill_after", "work", 2),
        ("kill_before", "fan_out", 1),
        ("kill_after", "fan_out", 1),
    ],
)
def test_host_dies_where_a_rule_says_so(start_host: StartHost, kind: str, function: str, runs: int) -> None:
    """A host that dies before or after a function, once, repeats only what had not been reported."""
    host = start_host()
    host.arm(operation=function, kind=kind)
    with suppress(OSError):  # the host may die before it has answered
        host.start("fan_out", "dies", 1)
    wait_until(lambda: not host.process.alive, "the host to die")
    host.process.start()

    assert host.wait_for("dies")["output"] == [0]
    assert host.lines("work") == ["0"] * runs


def test_an_activity_outlives_the_hub_that_it_was_handed_out_by(start_host: StartHost, own_hub: HubProcess) -> None:
    """What an app's function does goes on when its host has lost the hub, and a new hub knows nothing of it."""
    host = start_host()
    host.arm(operation="work", kind="hold", count=1)
    host.start("fan_out", "lost", 1)
    wait_until(lambda: any(rule["fired"] for rule in host.call("GET", "/_control/faults").json), "it to be held")

    own_hub.stop()
    own_hub.start()
    wait_until(lambda: host.call("GET", "/_control/health").status == 200, "the host to find the hub again")
    host.release()

    wait_until(lambda: host.lines("work") == ["0"], "the activity to run on")


def test_two_hosts_share_a_hub(start_host: StartHost, own_hub: HubProcess) -> None:
    """An activity that one instance of the app holds runs on the other, once the hub has given the first one up."""
    hosts = [start_host(), start_host()]
    for host in hosts:
        host.arm(operation="work", kind="hold", count=1)
    hosts[0].start("fan_out", "shared", 1)
    holding = wait_until(lambda: [host for host in hosts if _held(host)], "one to hold it")
    other = next(host for host in hosts if host not in holding)

    assert own_hub.give_up("work") == 1
    wait_until(lambda: _held(other), "the other one to have it")
    other.release()
    assert hosts[0].wait_for("shared")["output"] == [0]
    holding[0].release()

    wait_until(lambda: holding[0].lines("work") == ["0"], "the first one to run on")
    assert other.lines("work") == ["0"]


def _held(host: SampleHost) -> bool:
    return any(rule["fired"] for rule in host.call("GET", "/_control/faults").json)


short_locks = pytest.mark.parametrize("own_hub", [("--lock-seconds", "3")], indirect=True)


@short_locks
def test_a_frozen_host_loses_its_work(start_host: StartHost) -> None:
    """It stands still and stays connected; once its locks have run out, another host does what it held."""
    hosts = [start_host(), start_host()]
    for host in hosts:
        host.arm(operation="work", kind="hold", count=1)
    hosts[0].start("fan_out", "frozen", 1)
    frozen = wait_until(lambda: [host for host in hosts if _held(host)], "one to hold it")[0]
    other = next(host for host in hosts if host is not frozen)
    other.call("DELETE", "/_control/faults")
    os.kill(frozen.process.pid, signal.SIGSTOP)

    assert other.wait_for("frozen")["output"] == [0]
    assert (frozen.lines("work"), other.lines("work")) == ([], ["0"])


@short_locks
def test_a_host_that_lives_keeps_its_work(start_host: StartHost) -> None:
    """An activity that takes longer than a lock lasts runs once."""
    host = start_host({"SAMPLE_WORK_SECONDS": "6"})
    host.start("fan_out", "slow", 1)

    assert host.wait_for("slow")["output"] == [0]
    assert host.lines("work") == ["0"]


@pytest.mark.parametrize("activity", ["hangs_its_thread", "hangs_the_loop"])
def test_what_runs_for_too_long_has_its_worker_started_again(start_host: StartHost, activity: str) -> None:
    """``functionTimeout``: the process is replaced, and the task hub hands out again what was lost with it."""
    host = start_host({"AzureFunctionsJobHost__functionTimeout": "00:00:02"})

    host.start("hanging", activity, activity)

    wait_until(lambda: len(host.lines(activity)) > 1, "it to be handed out again")
    wait_until(lambda: _healthy(host), "the host to serve again")
    assert host.wait_for(activity)["output"] == "done"
    assert host.lines(activity) == ["began", "began"]
    assert f"Timeout value of 0:00:02 exceeded by function {activity}" in host.log()


def _healthy(host: SampleHost) -> bool:
    try:
        return host.call("GET", "/_control/health").status == HTTPStatus.OK
    except OSError:  # between the old process and the new one
        return False
