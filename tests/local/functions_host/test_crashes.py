"""The host killed in the middle of things, and started again on the same port and state."""

from contextlib import suppress

import pytest

from tests.local.functions_host.conftest import StartHost
from tests.local.functions_host.host_process import wait_until


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
