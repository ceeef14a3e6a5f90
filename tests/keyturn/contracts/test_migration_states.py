"""The transition table of migrations: every pair of states, allowed or not."""

import itertools

import pytest

from keyturn.contracts.states import MIGRATION_TRANSITIONS, TERMINAL, State, check_transition
from keyturn.errors import InvalidTransitionError
from keyturn.migrations.status import migration_status
from keyturn.runs.record_parts import Quarantined
from keyturn.runs.store import MigrationStore
from tests.keyturn.migrations.harness import started

ALLOWED = {
    (State.REQUESTED, State.RUNNING),
    (State.RUNNING, State.AWAITING_APPROVAL),
    (State.RUNNING, State.NEEDS_ATTENTION),
    (State.RUNNING, State.COMPLETED),
    (State.AWAITING_APPROVAL, State.RUNNING),
    (State.AWAITING_APPROVAL, State.REJECTED),
    (State.AWAITING_APPROVAL, State.EXPIRED),
    (State.AWAITING_APPROVAL, State.NEEDS_ATTENTION),
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

    assert reached == set(MIGRATION_TRANSITIONS)
    assert {state for state, ways in MIGRATION_TRANSITIONS.items() if not ways} == TERMINAL & reached


@pytest.mark.parametrize(
    ("state", "quarantined", "clean"),
    [
        (State.RUNNING, 0, None),
        (State.NEEDS_ATTENTION, 2, None),
        (State.COMPLETED, 0, True),
        (State.COMPLETED, 2, False),
        (State.ABORTED, 0, False),
    ],
)
async def test_the_status_says_whether_it_ended_clean(
    migrations: MigrationStore, state: State, quarantined: int, *, clean: bool | None
) -> None:
    """Only an end without anything quarantined is clean, and before the end nobody knows."""
    record = (await started(migrations)).changed(state=state, quarantined=Quarantined(count=quarantined))

    assert clean is migration_status(record).clean
