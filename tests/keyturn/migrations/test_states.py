"""The transition table of migrations: every pair of states, allowed or not."""

import itertools

import pytest

from keyturn.errors import InvalidTransitionError
from keyturn.migrations.states import MIGRATION_TRANSITIONS
from keyturn.rotation.states import TERMINAL, State, check_transition

ALLOWED = {
    (State.REQUESTED, State.RUNNING),
    (State.RUNNING, State.AWAITING_APPROVAL),
    (State.RUNNING, State.NEEDS_ATTENTION),
    (State.RUNNING, State.COMPLETED),
    (State.AWAITING_APPROVAL, State.RUNNING),
    (State.AWAITING_APPROVAL, State.REJECTED),
    (State.AWAITING_APPROVAL, State.EXPIRED),
    (State.NEEDS_ATTENTION, State.RUNNING),
    *(
        (state, end)
        for state in (State.REQUESTED, State.RUNNING, State.AWAITING_APPROVAL, State.NEEDS_ATTENTION)
        for end in (State.ABORTED, State.FAILED)
    ),
}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_every_pair_of_states_is_allowed_or_refused(source: State, target: State) -> None:
    """A pair is allowed exactly if it stands in this file's list, which is written independently of the table."""
    if (source, target) in ALLOWED:
        check_transition(source, target, MIGRATION_TRANSITIONS)
        return

    with pytest.raises(InvalidTransitionError):
        check_transition(source, target, MIGRATION_TRANSITIONS)


def test_every_state_is_reached_and_every_end_is_an_end() -> None:
    """The table has no state that nothing leads to, and none that leads nowhere but the ends of runs."""
    reached = {State.REQUESTED, *itertools.chain.from_iterable(MIGRATION_TRANSITIONS.values())}

    assert set(MIGRATION_TRANSITIONS) == reached
    assert {state for state, ways in MIGRATION_TRANSITIONS.items() if not ways} == TERMINAL & reached
