"""What the console draws of runs: phases as a line, the census as bars, rows over time as a curve."""

from datetime import timedelta

import pytest

from keyturn.console.charts import bars_of, curves_of, lasting, moment, steps_of
from keyturn.contracts.states import MIGRATION_TRANSITIONS, State
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import PhaseProgress, RequestOptions, Sample
from tests.keyturn.console.runs_shown import LATER, MINUTE, migrated, progress, went
from tests.keyturn.runs.lifecycle import NOW, PATHS


def marks(record: RunRecord) -> list[str]:
    """Return the phases with their marks."""
    return [f"{step.mark} {step.name}" for step in steps_of(record, LATER)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0 s"), (0, "0 s"), (0.6, "1 s"), (61, "1 min 1 s"), (3_600, "1 h"), (180_000, "2 d 2 h"), (86_459, "1 d")],
)
def test_a_time_span_has_its_two_largest_units(seconds: float, expected: str) -> None:
    """As people say it."""
    assert lasting(timedelta(seconds=seconds)) == expected


def test_a_moment_is_in_utc_and_an_unknown_one_is_said_to_be() -> None:
    """To the second."""
    assert (moment(NOW), moment(None)) == ("1 Mar 2026 03:00:00 UTC", "not known")


def test_phases_are_a_line_of_what_was_what_is_and_what_is_to_come() -> None:
    """Each with when it was entered, and for how long."""
    record = went(*PATHS[State.SOAKING])

    assert marks(record) == [
        *("done requested", "done preflight", "done creating version", "done sweeping", "now soaking"),
        *("todo awaiting approval", "todo retiring", "todo watching", "todo completed"),
    ]
    steps = steps_of(record, LATER)
    assert (steps[3].at, steps[3].lasted) == ("1 Mar 2026 03:03:00 UTC", "1 min")
    assert steps[4].lasted == "56 min"


def test_a_rotation_that_sweeps_again_is_not_beyond_it() -> None:
    """What comes after is to come once more."""
    record = went(*PATHS[State.AWAITING_APPROVAL], State.SWEEPING)

    assert marks(record)[3:6] == ["now sweeping", "todo soaking", "todo awaiting approval"]


@pytest.mark.parametrize(
    ("state", "last"),
    [
        (State.COMPLETED, ["done watching", "done completed"]),
        (State.FAILED, ["done sweeping", "failed failed"]),
        (State.BLOCKED, ["done preflight", "failed blocked"]),
        (State.REINSTATED, ["done watching", "failed reinstated"]),
    ],
)
def test_an_end_is_the_last_phase(state: State, last: list[str]) -> None:
    """Nothing is to come after it."""
    assert marks(went(*PATHS[state]))[-2:] == last


def test_what_needs_attention_stands_between_what_was_and_what_is_to_come() -> None:
    """It may go on."""
    assert marks(went(*PATHS[State.NEEDS_ATTENTION]))[3:6] == [
        *("done sweeping", "failed needs attention", "todo soaking")
    ]


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_line(state: State) -> None:
    """Of a rotation, and of a migration."""
    if state in PATHS:
        assert steps_of(went(*PATHS[state]), LATER)
    if state in MIGRATION_TRANSITIONS:
        assert steps_of(migrated(State.RUNNING, *([state] if state is not State.RUNNING else [])), LATER)


def test_a_dry_run_and_a_decided_migration_have_their_own_lines() -> None:
    """The one ends after its checks; the other runs before and after the decision."""
    assert marks(went(State.PREFLIGHT, options=RequestOptions(dry_run=True))) == [
        *("done requested", "now preflight", "todo completed")
    ]
    assert marks(migrated(State.RUNNING, State.AWAITING_APPROVAL, State.RUNNING)) == [
        *("done requested", "done awaiting approval", "now running", "todo completed")
    ]


def test_bars_are_as_wide_as_the_counts_say() -> None:
    """Of both counts the largest fills the width; what was not counted has no number."""
    old, new = bars_of({"old": 200}, {"old": 50, "new": 150}, "new")

    assert (old.before, old.now, old.before_width, old.now_width, old.target) == (200, 50, 100, 25, False)
    assert (new.before, new.now, new.before_width, new.now_width, new.target) == (0, 150, 0, 75, True)
    [alone] = bars_of(None, {"": 0}, None)
    assert (alone.version, alone.before, alone.now, alone.now_width) == ("(none)", None, 0, 0)
    assert bars_of(None, None, None) == []


def test_a_curve_goes_from_the_beginning_of_its_phase_to_the_last_sample() -> None:
    """Its top is the number of rows that there are."""
    began = went(*PATHS[State.SWEEPING]).history[-1].at
    known = progress(50, 100, 200, began=began + timedelta(seconds=20))
    [curve] = curves_of(went(*PATHS[State.SWEEPING], progress={"sweep": known}))

    assert curve.points == "0.0,120.0 300.0,90.0 450.0,60.0 600.0,0.0"
    assert (curve.last, curve.begun, curve.ended) == (200, "1 Mar 2026 03:03:00 UTC", "1 Mar 2026 03:03:40 UTC")


def test_days_of_waiting_do_not_press_a_curve_to_its_edge() -> None:
    """Its width is the time in which rows were worked on: a last look after the approval stands beside the sweep."""
    swept = went(*PATHS[State.AWAITING_APPROVAL], State.SWEEPING)
    entries = [*swept.history[:-1], swept.history[-1].model_copy(update={"at": NOW + timedelta(days=7)})]
    began = entries[3].at
    samples = [
        Sample(at=began + timedelta(seconds=30), rows=100),
        Sample(at=began + MINUTE, rows=200),
        Sample(at=NOW + timedelta(days=3), rows=200),
        Sample(at=entries[-1].at + MINUTE, rows=200),
    ]
    known = progress(200).model_copy(update={"samples": samples})
    [curve] = curves_of(swept.changed(history=entries, progress={"sweep": known}))

    assert curve.points == "0.0,120.0 150.0,60.0 300.0,0.0 300.0,0.0 600.0,0.0"
    assert (curve.worked, curve.top, curve.ended) == ("2 min", 200, "8 Mar 2026 03:01:00 UTC")


def test_a_proof_is_drawn_from_its_last_soak() -> None:
    """It begins anew there, where a sweep goes on."""
    record = went(*PATHS[State.SOAKING], State.SWEEPING, State.SOAKING)
    both = progress(5, began=record.history[-1].at + MINUTE)
    curves = curves_of(record.changed(progress={"sweep": both, "proof": both}))

    assert [curve.begun for curve in curves] == ["1 Mar 2026 03:03:00 UTC", "1 Mar 2026 03:06:00 UTC"]


@pytest.mark.parametrize("known", [progress(), progress(5, began=NOW)], ids=["no sample", "before the phase"])
def test_without_a_sample_of_the_phase_there_is_no_curve(known: PhaseProgress) -> None:
    """A run of before has none at all."""
    assert curves_of(went(*PATHS[State.SWEEPING], progress={"sweep": known})) == []
