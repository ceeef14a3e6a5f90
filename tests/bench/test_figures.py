"""What the benchmark makes of its measurements."""

import json

import pytest

from bench.__main__ import summary
from bench.machine import this_machine
from bench.sweep import CASES, Sweep, seconds_sweeping


def test_a_case_is_its_slowest_middle_and_fastest_round() -> None:
    """The worst round says how many unwraps a row cost."""
    rounds = [Sweep(10.0, 2000, 2000, 0), Sweep(20.0, 2000, 2008, 3), Sweep(16.0, 2000, 2000, 0)]

    summed = summary("default window of 4", rounds)

    assert summed["rowsPerSecond"] == {"min": 100.0, "median": 125.0, "max": 200.0}
    assert (summed["unwrapsPerRow"], summed["throttled"]) == (1.004, 3)
    assert (summed["rows"], summed["bits"]) == (CASES["default window of 4"].rows, 2048)


def test_a_sweep_lasts_from_entering_the_state_to_leaving_it() -> None:
    """Checks before it and the soak after it are not counted."""
    history = [
        {"at": "2026-11-24T12:00:00Z", "from": "preflight", "to": "creating_version"},
        {"at": "2026-11-24T12:00:05Z", "from": "creating_version", "to": "sweeping"},
        {"at": "2026-11-24T12:00:17.5Z", "from": "sweeping", "to": "soaking"},
        {"at": "2026-11-24T12:01:00Z", "from": "soaking", "to": "awaiting_approval"},
    ]

    assert seconds_sweeping(history) == pytest.approx(12.5)


def test_the_machine_is_stated() -> None:
    """A figure without its machine says nothing."""
    machine = json.loads(this_machine().model_dump_json(by_alias=True))

    assert machine["processor"]
    assert machine["processors"] >= 1
    assert machine["python"].startswith("3.")
