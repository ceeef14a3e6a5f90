"""What a change of the record tells: absolute numbers, and each state once."""

from keyturn.contracts.base import StepInput
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import CensusResult, ProgressInput
from keyturn.contracts.states import State
from keyturn.rotation.new_version import record_census
from keyturn.runs.progress import record_progress
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import record_step
from keyturn.telemetry import names
from keyturn.telemetry.signals import root_of, state_of
from tests.keyturn.runs.lifecycle import NOW, PATHS, bring_to, start_run
from tests.keyturn.telemetry.recorded import Recorded, attributes_of, parent_of


async def test_a_rotation_is_one_trace_of_all_its_states(runs: RotationStore, recorded: Recorded) -> None:
    """Every state but the last is a span below the rotation's, which is told at the end and has no parent."""
    record = await bring_to(runs, State.COMPLETED)

    root = root_of(record.run_id)
    spans = recorded.spans(root.trace_id)
    states = [State.REQUESTED, *PATHS[State.COMPLETED]][:-1]
    assert [span.name for span in spans] == [*(f"state {state}" for state in states), "rotation"]
    assert [span.context.span_id for span in spans[:-1]] == [
        state_of(record.run_id, step).span_id for step in range(len(states))
    ]
    assert {parent_of(span).span_id for span in spans[:-1]} == {root.span_id}
    assert (spans[-1].context.span_id, spans[-1].parent) == (root.span_id, None)
    assert attributes_of(spans[-1])[names.STATE] == "completed"


async def test_a_repeated_state_change_tells_nothing(runs: RotationStore, recorded: Recorded) -> None:
    """A second run of the same step changes nothing, so it tells nothing."""
    record = await bring_to(runs, State.SWEEPING)
    recorded.forget()

    await record_step(runs, StepInput(run=record.ref, step=record.step, target=State.SWEEPING), NOW)

    assert recorded.spans() == []
    assert recorded.metric(names.STATE_SECONDS) == {}


async def test_rows_are_measured_by_state(runs: RotationStore, recorded: Recorded) -> None:
    """A census that is new in the record sets the gauges to what was counted."""
    record = await bring_to(runs, State.SWEEPING)
    recorded.forget()
    counted = CensusResult(total=10, on_target=6, stale=3, unlabelled=2, foreign=1, by_version={})

    await record_census(runs, record.ref, counted)

    expected = {"on_target": 6, "stale": 3, "unlabelled": 2, "foreign": 1, "quarantined": 0}
    assert recorded.metric(names.ROWS) == {(record.keyring, state): count for state, count in expected.items()}


async def test_progress_is_absolute(runs: RotationStore, recorded: Recorded) -> None:
    """Progress that is written twice is told as the same numbers, those of earlier passes included."""
    record = await bring_to(runs, State.SWEEPING)
    recorded.forget()
    totals = PageResult(changed=5, vault_operations=6, throttled=2)
    progress = ProgressInput(
        run=record.ref,
        phase="sweep",
        pass_number=1,
        pass_started_at=NOW,
        wave=1,
        scanned=5,
        totals=totals,
        session_tokens=[],
    )

    for _ in range(2):
        await record_progress(runs, progress, NOW)

    key = (record.keyring, "sweep")
    found = [recorded.metric(metric) for metric in (names.CHANGED,)]
    assert found == [{key: 5}]


async def test_the_time_in_a_state_is_measured_when_it_is_left(runs: RotationStore, recorded: Recorded) -> None:
    """The gauge has the state's whole time."""
    record = await start_run(runs)
    recorded.forget()
    later = NOW.replace(minute=2)

    await record_step(runs, StepInput(run=record.ref, step=1, target=State.PREFLIGHT), later)

    assert recorded.metric(names.STATE_SECONDS) == {(record.keyring, "requested"): 120.0}
