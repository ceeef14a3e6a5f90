"""State changes as decisions: which record follows from a record and a step, and which steps are refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from keyturn.contracts.base import Policy, StepInput
from keyturn.contracts.pages import PageResult, QuarantinedRow
from keyturn.contracts.states import TERMINAL, State
from keyturn.errors import (
    AbortRequestedError,
    FencedError,
    InvalidTransitionError,
    InvariantError,
    NotSettledError,
)
from keyturn.runs.commands import give_command
from keyturn.runs.progress import with_quarantined
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import HISTORY_MAX, PhaseProgress, Quarantined, RequestOptions
from keyturn.runs.transitions import HISTORY_HEAD, advance, enter, fail
from tests.keyturn.runs.lifecycle import APPROVER, NOW
from tests.keyturn.runs.records import APPROVAL, LATER, STATES, migration, ready_for, rotation

type Make = Callable[..., RunRecord]
ROW = QuarantinedRow(id="row", reason="malformed")

# Every change from a state in which a run can be told to end.
FROM_ABORTABLE = [
    (make, source, target)
    for make, source in STATES
    for target in sorted(make().transitions[source])
    if State.ABORTED in make().transitions[source]
]


def step_of(record: RunRecord, target: State, *, number: int | None = None, token: int = 1) -> StepInput:
    """Return the input of ``advance`` for the next step, or for the step of this number."""
    ref = record.ref.model_copy(update={"fencing_token": token})
    return StepInput(run=ref, step=record.step + 1 if number is None else number, target=target, detail="why")


@pytest.mark.parametrize("target", State)
@pytest.mark.parametrize(("make", "source"), STATES)
def test_every_change_of_state_is_made_or_refused(make: Make, source: State, target: State) -> None:
    """The kind's own table decides (test_states.py holds it); a change is numbered, dated and in the history."""
    record = ready_for(make(source), target)
    if target not in record.transitions[source]:
        with pytest.raises(InvalidTransitionError):
            advance(record, step_of(record, target), LATER)
        return

    changed = advance(record, step_of(record, target), LATER)

    entry = changed.history[-1]
    ended_at = LATER if target in TERMINAL else None
    assert (changed.state, changed.step, changed.ended_at) == (target, record.step + 1, ended_at)
    assert (entry.source, entry.target, entry.step, entry.at, entry.detail) == (
        source,
        target,
        record.step + 1,
        LATER,
        "why",
    )
    assert changed.history[:-1] == record.history


@pytest.mark.parametrize(
    ("number", "target", "token", "error", "facts"),
    [
        (2, State.SWEEPING, 1, FencedError, {"holder": None}),  # the number belongs to another change
        (5, State.SOAKING, 1, NotSettledError, {"step": 5, "expected": 4}),  # a replica that lags
        (4, State.SOAKING, 2, NotSettledError, {}),  # the run went on with a greater one, and a replica lags
        (4, State.SOAKING, 0, FencedError, {"holder": None}),  # of the workflow that was lost
    ],
)
def test_a_step_of_another_number_or_run_is_refused(
    number: int, target: State, token: int, error: type[Exception], facts: dict[str, Any]
) -> None:
    """Only the step that follows, of the run's own workflow, changes anything."""
    record = rotation(State.SWEEPING)

    with pytest.raises(error) as raised:
        advance(record, step_of(record, target, number=number, token=token), LATER)

    assert getattr(raised.value, "facts", None) == {"rotationId": record.run_id, **facts}


@pytest.mark.parametrize(("number", "target"), [(1, State.PREFLIGHT), (2, State.CREATING_VERSION), (3, State.SWEEPING)])
def test_a_repeated_step_returns_the_record_as_it_is(number: int, target: State) -> None:
    """There is nothing to write then, also where later steps followed."""
    record = rotation(State.SWEEPING)

    assert advance(record, step_of(record, target, number=number), LATER) is record


@pytest.mark.parametrize(
    "spoilt",
    [
        {"decision": None},
        {"decision": APPROVAL.model_copy(update={"decision": "rejected"})},
        {"decision": APPROVAL.model_copy(update={"digest": "0" * 64})},
        {"evidence_digest": "0" * 64},
        {"quarantined": Quarantined(count=1, named=[ROW])},
    ],
    ids=["undecided", "rejected", "approval of other evidence", "other evidence in force", "quarantined"],
)
def test_retiring_needs_an_approval_of_the_evidence_in_force_and_no_quarantined_row(spoilt: dict[str, Any]) -> None:
    """Each of them missing, alone, keeps every version enabled."""
    record = ready_for(rotation(State.AWAITING_APPROVAL), State.RETIRING).changed(**spoilt)

    with pytest.raises(InvariantError, match="nothing is retired"):
        advance(record, step_of(record, State.RETIRING), LATER)


@pytest.mark.parametrize(("make", "source", "target"), FROM_ABORTABLE)
def test_after_an_abort_only_ends_are_entered(make: Make, source: State, target: State) -> None:
    """The workflow learns of the abort from the record, whatever it was about to do."""
    record = give_command(ready_for(make(source), target), "abort", by="otto", now=NOW)
    if target not in TERMINAL:
        with pytest.raises(AbortRequestedError):
            advance(record, step_of(record, target), LATER)
        return

    ended = advance(record, step_of(record, target), LATER)

    assert (ended.state, ended.ended_at) == (target, LATER)


@pytest.mark.parametrize(
    ("record", "target", "actor"),
    [
        (ready_for(rotation(State.AWAITING_APPROVAL), State.RETIRING), State.RETIRING, APPROVER),
        (
            rotation(State.AWAITING_APPROVAL).changed(decision=APPROVAL.model_copy(update={"decision": "rejected"})),
            State.REJECTED,
            APPROVER,
        ),
        (give_command(rotation(State.NEEDS_ATTENTION), "retry", by="olga", now=NOW), State.SWEEPING, "olga"),
        (give_command(migration(State.NEEDS_ATTENTION), "retry", by="olga", now=NOW), State.RUNNING, "olga"),
        (give_command(rotation(State.SWEEPING), "abort", by="otto", now=NOW), State.ABORTED, "otto"),
        (rotation(State.NEEDS_ATTENTION), State.SWEEPING, "keyturn"),
        (rotation(State.SWEEPING), State.SOAKING, "keyturn"),
    ],
    ids=["approved", "rejected", "retry", "retry of a migration", "abort", "no command", "by itself"],
)
def test_people_are_named_where_they_brought_the_change_about(record: RunRecord, target: State, actor: str) -> None:
    """The history names the approver, or the operator who gave the command; everything else Keyturn did itself."""
    assert advance(record, step_of(record, target), LATER).history[-1].actor == actor


def test_going_back_to_the_sweep_voids_the_decision_and_its_evidence() -> None:
    """The decision is kept among the voided ones."""
    record = ready_for(rotation(State.AWAITING_APPROVAL), State.RETIRING)

    swept = advance(record, step_of(record, State.SWEEPING), LATER)

    assert (swept.decision, swept.decisions) == (None, [APPROVAL])
    assert (swept.evidence, swept.evidence_digest, swept.evidence_frozen_at, swept.approval_expires_at) == (None,) * 4


@pytest.mark.parametrize(
    ("make", "source", "target"),
    [(rotation, State.NEEDS_ATTENTION, State.SWEEPING), (migration, State.NEEDS_ATTENTION, State.RUNNING)],
)
def test_another_try_forgets_quarantined_rows_because_it_meets_them_again(
    make: Make, source: State, target: State
) -> None:
    """Afterwards only the rows that still cannot be rewrapped are named."""
    record = with_quarantined(make(source), [ROW])

    assert advance(record, step_of(record, target), LATER).quarantined == Quarantined()


def test_a_new_soak_begins_its_proof_anew() -> None:
    """What an earlier soak has proven is not counted towards this one; the sweep's progress stays."""
    progress = PhaseProgress(
        pass_number=1, wave=1, scanned=5, current=PageResult(changed=5), started_at=NOW, updated_at=NOW
    )
    record = rotation(State.SWEEPING, progress={"proof": progress, "sweep": progress})

    assert advance(record, step_of(record, State.SOAKING), LATER).progress == {"sweep": progress}


@pytest.mark.parametrize(("make", "state"), STATES)
def test_a_run_fails_from_every_state_but_an_end(make: Make, state: State) -> None:
    """An end is never turned into another, and needs no write."""
    record = make(state)

    failed = fail(record, "KeyDisabled", "off", LATER)

    if state in TERMINAL:
        assert failed is record
        return
    assert failed.error is not None
    assert (failed.state, failed.error.type, failed.error.message, failed.ended_at) == (
        State.FAILED,
        "KeyDisabled",
        "off",
        LATER,
    )
    with pytest.raises(FencedError):  # the workflow lives on: the number is not taken for its own step
        advance(failed, step_of(record, State.SWEEPING), LATER)


def test_a_very_long_history_keeps_its_beginning_and_its_end() -> None:
    """The middle is left out, and how much of it; the record never outgrows its bounds."""
    record = rotation(State.SWEEPING)
    for _ in range(HISTORY_MAX):
        for target in (State.NEEDS_ATTENTION, State.SWEEPING):
            record = enter(record, target, detail="x" * 2000, now=NOW)

    steps = [entry.step for entry in record.history]
    assert len(steps) == HISTORY_MAX
    assert len(steps) + record.history_omitted == record.step + 1
    assert steps[:HISTORY_HEAD] == list(range(HISTORY_HEAD))
    assert steps[HISTORY_HEAD:] == list(range(record.step - HISTORY_MAX + HISTORY_HEAD + 1, record.step + 1))


def test_a_rotation_is_completed_only_after_its_trial_period() -> None:
    """Whoever writes to the task hub cannot end the watch early: the record knows when it began."""
    policy = Policy(watch=timedelta(minutes=30))
    watching = rotation(State.WATCHING, policy=policy)

    with pytest.raises(InvariantError, match="watched"):
        enter(watching, State.COMPLETED, detail="", now=NOW + timedelta(minutes=29))

    assert enter(watching, State.COMPLETED, detail="", now=NOW + policy.watch).ended


def test_only_a_dry_run_is_completed_after_its_preflight() -> None:
    """Any other rotation that says it is completed has moved and retired something."""
    asked = rotation(State.PREFLIGHT)

    with pytest.raises(InvariantError):
        enter(asked, State.COMPLETED, detail="", now=NOW)

    dry = asked.changed(options=RequestOptions(dry_run=True))
    assert enter(dry, State.COMPLETED, detail="dry run", now=NOW).ended


@pytest.mark.parametrize("ordered_in", [State.RETIRING, State.WATCHING])
def test_a_rotation_whose_retirement_was_taken_back_does_not_complete(ordered_in: State) -> None:
    """An order that comes after the last look of the watch is obeyed as well: the only way on is to reinstated."""
    record = give_command(rotation(ordered_in), "reinstate", by="otto", now=NOW)
    if ordered_in is State.RETIRING:
        record = enter(record, State.WATCHING, detail="", now=NOW)

    with pytest.raises(InvariantError, match="an operator ordered"):
        enter(record, State.COMPLETED, detail="", now=NOW)

    ended = enter(record, State.REINSTATED, detail="", now=NOW)
    assert (ended.state, ended.history[-1].actor) == (State.REINSTATED, "otto")
