"""Commands as decisions: in which state a run takes which, and what becomes of a command that is given again."""

from collections.abc import Callable, Mapping
from typing import Literal

import pytest

from keyturn.contracts.states import TRANSITIONS, State
from keyturn.errors import WrongStateError
from keyturn.runs.commands import abortable, give_command
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import COMMANDS_MAX, Command
from tests.keyturn.runs.lifecycle import NOW
from tests.keyturn.runs.records import STATES, migration, rotation

type Word = Literal["retry", "abort"]

# Written independently of the transition tables: from retiring on, undoing a rotation is reinstating.
ENDED_BY_AN_ABORT: Mapping[Callable[..., RunRecord], set[State]] = {
    rotation: {
        State.REQUESTED,
        State.PREFLIGHT,
        State.CREATING_VERSION,
        State.SWEEPING,
        State.SOAKING,
        State.AWAITING_APPROVAL,
        State.NEEDS_ATTENTION,
    },
    migration: {State.REQUESTED, State.RUNNING, State.AWAITING_APPROVAL, State.NEEDS_ATTENTION},
}


@pytest.mark.parametrize("command", ["retry", "abort"])
@pytest.mark.parametrize(("make", "state"), STATES)
def test_a_command_is_taken_only_where_the_run_can_obey_it(
    make: Callable[..., RunRecord], state: State, command: Word
) -> None:
    """A retry in needs_attention only; an abort while nothing was disabled; the refusal names the states."""
    record = make(state)
    allowed = {State.NEEDS_ATTENTION} if command == "retry" else ENDED_BY_AN_ABORT[make]
    if state in allowed:
        given = give_command(record, command, by="otto", now=NOW)
        assert given.commands == [Command(command=command, by="otto", at=NOW, step=record.step)]
        return

    with pytest.raises(WrongStateError) as raised:
        give_command(record, command, by="otto", now=NOW)

    assert {"rotationId": record.run_id, "state": state.value, "allowed": sorted(allowed)} == raised.value.facts


def test_the_states_in_which_a_rotation_can_be_aborted_are_documented() -> None:
    """The constant that the API's description names is the same set."""
    assert ENDED_BY_AN_ABORT[rotation] == abortable(TRANSITIONS)


@pytest.mark.parametrize("command", ["retry", "abort"])
def test_the_same_command_in_the_same_wait_returns_the_record_as_it_is(command: Word) -> None:
    """There is nothing to write, whoever repeats it."""
    given = give_command(rotation(State.NEEDS_ATTENTION), command, by="otto", now=NOW)

    assert give_command(given, command, by="olga", now=NOW) is given


@pytest.mark.parametrize(("command", "count"), [("retry", 2), ("abort", 1)])
def test_in_a_later_wait_a_retry_is_another_and_an_abort_the_same(command: Word, count: int) -> None:
    """A retry is meant for its wait; an abort is never void."""
    earlier = Command(command=command, by="otto", at=NOW, step=1)
    record = rotation(State.NEEDS_ATTENTION, commands=[earlier])

    assert len(give_command(record, command, by="otto", now=NOW).commands) == count


def test_after_an_abort_no_retry_is_taken() -> None:
    """The run is about to end."""
    record = give_command(rotation(State.NEEDS_ATTENTION), "abort", by="otto", now=NOW)

    with pytest.raises(WrongStateError):
        give_command(record, "retry", by="olga", now=NOW)


def test_there_is_always_room_for_an_abort() -> None:
    """Commands are bounded, and the last place is the abort's."""
    many = [Command(command="retry", by="otto", at=NOW, step=-number) for number in range(1, COMMANDS_MAX)]
    record = rotation(State.NEEDS_ATTENTION, commands=many)

    with pytest.raises(WrongStateError):
        give_command(record, "retry", by="otto", now=NOW)
    assert len(give_command(record, "abort", by="otto", now=NOW).commands) == COMMANDS_MAX
