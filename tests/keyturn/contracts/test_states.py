"""The transition table: every pair of states, allowed or not."""

import itertools

import pytest

from keyturn.contracts.states import TERMINAL, TRANSITIONS, State, check_transition
from keyturn.errors import InvalidTransitionError

FORWARD = [
    State.REQUESTED,
    State.PREFLIGHT,
    State.CREATING_VERSION,
    State.SWEEPING,
    State.SOAKING,
    State.AWAITING_APPROVAL,
    State.RETIRING,
    State.WATCHING,
    State.COMPLETED,
]
BACK_TO_THE_SWEEP = [State.SOAKING, State.AWAITING_APPROVAL, State.RETIRING, State.NEEDS_ATTENTION]
ALLOWED = {
    *itertools.pairwise(FORWARD),
    *((state, State.SWEEPING) for state in BACK_TO_THE_SWEEP),
    *((state, State.FAILED) for state in TRANSITIONS if state not in TERMINAL),
    *((state, State.ABORTED) for state in [*FORWARD[:6], State.NEEDS_ATTENTION]),
    *((state, State.NEEDS_ATTENTION) for state in FORWARD[1:8]),
    (State.NEEDS_ATTENTION, State.PREFLIGHT),
    *((state, State.REINSTATED) for state in (State.RETIRING, State.WATCHING)),
    (State.PREFLIGHT, State.BLOCKED),
    (State.PREFLIGHT, State.COMPLETED),
    (State.AWAITING_APPROVAL, State.REJECTED),
    (State.AWAITING_APPROVAL, State.EXPIRED),
}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_every_pair_of_states_is_allowed_or_refused(source: State, target: State) -> None:
    """A pair is allowed exactly if it stands in this file's list, which is written independently of the table."""
    if (source, target) in ALLOWED:
        check_transition(source, target)
        return

    with pytest.raises(InvalidTransitionError) as raised:
        check_transition(source, target)

    assert {"source": source, "target": target, "allowed": sorted(TRANSITIONS.get(source, ()))} == raised.value.facts


def test_every_state_can_be_reached_and_every_other_than_an_end_can_be_left() -> None:
    """The table has no state that nothing leads to, and no end that leads on."""
    reached = {State.REQUESTED, *itertools.chain.from_iterable(TRANSITIONS.values())}

    assert set(State) - {State.RUNNING} == reached == set(TRANSITIONS)
    assert {state for state in TRANSITIONS if not TRANSITIONS[state]} == TERMINAL
