"""Operators' commands: retry where a rotation waits for it, abort while nothing was disabled."""

import pytest

from keyturn.contracts import CommandInput, StepInput
from keyturn.contracts.states import TERMINAL, TRANSITIONS, State
from keyturn.errors import AbortRequestedError, FencedError, UnknownRotationError, WrongStateError
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.commands import ABORTABLE, give_command, read_command
from keyturn.runs.record_parts import COMMANDS_MAX, Command
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import advance
from tests.keyturn.runs.lifecycle import NOW, bring_to, step_to


async def read(runs: RotationStore, record: RotationRecord, seen: int = 0) -> tuple[str, int]:
    """Return what the workflow reads, and how far it then has read."""
    result = await read_command(runs, CommandInput(run=record.ref, seen=seen))
    return result.command, result.seen


@pytest.mark.parametrize("state", list(TRANSITIONS))
@pytest.mark.parametrize("command", ["retry", "abort"])
async def test_a_command_is_taken_only_where_the_rotation_can_obey_it(
    runs: RotationStore, state: State, command: str
) -> None:
    """A retry in needs_attention only; an abort wherever the table knows a way to aborted."""
    record = await bring_to(runs, state)
    allowed = {State.NEEDS_ATTENTION} if command == "retry" else ABORTABLE

    if state in allowed:
        given = await give_command(runs, record.run_id, command, by="otto", now=NOW)  # type: ignore[arg-type]  # of the table
        assert [tuple(dict(one).values()) for one in given.commands] == [(command, "otto", NOW, record.step)]
        return
    with pytest.raises(WrongStateError) as raised:
        await give_command(runs, record.run_id, command, by="otto", now=NOW)  # type: ignore[arg-type]  # the same

    expected = {"rotationId": record.run_id, "state": state.value, "allowed": sorted(allowed)}
    assert raised.value.facts == expected


def test_an_abort_is_impossible_from_retiring_on() -> None:
    """Once versions may be disabled, undoing is reinstating."""
    assert {
        State.REQUESTED,
        State.PREFLIGHT,
        State.CREATING_VERSION,
        State.SWEEPING,
        State.SOAKING,
        State.AWAITING_APPROVAL,
        State.NEEDS_ATTENTION,
    } == ABORTABLE


async def test_the_same_command_twice_is_one(runs: RotationStore) -> None:
    """A repeated request does not make the rotation obey twice."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)

    for by in ("otto", "olga"):
        given = await give_command(runs, record.run_id, "retry", by=by, now=NOW)

    assert [command.by for command in given.commands] == ["otto"]
    assert await read(runs, record) == ("retry", 1)
    assert await read(runs, record, seen=1) == ("none", 1)


async def test_a_retry_is_void_after_its_wait(runs: RotationStore) -> None:
    """A retry that the workflow did not need is not obeyed in a later wait; one given there is."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    await give_command(runs, record.run_id, "retry", by="otto", now=NOW)
    for target in (State.SWEEPING, State.NEEDS_ATTENTION):
        record = await step_to(runs, record, target)
    void = await read(runs, record)
    await give_command(runs, record.run_id, "retry", by="otto", now=NOW)

    assert void == ("none", 1)
    assert await read(runs, record) == ("retry", 2)


async def test_an_abort_is_never_void_and_ends_all_retries(runs: RotationStore) -> None:
    """An abort that the workflow has not obeyed yet still holds; after it no retry is taken."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    await give_command(runs, record.run_id, "abort", by="otto", now=NOW)

    with pytest.raises(WrongStateError):
        await give_command(runs, record.run_id, "retry", by="olga", now=NOW)

    assert await read(runs, record) == ("abort", 1)


@pytest.mark.parametrize("state", sorted(ABORTABLE))
async def test_after_an_abort_no_state_but_an_end_is_entered(runs: RotationStore, state: State) -> None:
    """Whatever the workflow was about to do, it learns of the abort from the record, and may only end."""
    record = await bring_to(runs, state)
    onwards = sorted(TRANSITIONS[state] - TERMINAL)
    await give_command(runs, record.run_id, "abort", by="otto", now=NOW)

    for target in onwards:
        with pytest.raises(AbortRequestedError):
            await advance(runs, StepInput(run=record.ref, step=record.step + 1, target=target), NOW)
    ended = await step_to(runs, record, State.ABORTED)

    assert (ended.history[-1].actor, ended.state) == ("otto", State.ABORTED)


async def test_there_is_always_room_for_an_abort(runs: RotationStore) -> None:
    """Commands are bounded, and the last place is the abort's."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    many = [Command(command="retry", by="otto", at=NOW, step=-number) for number in range(1, COMMANDS_MAX)]
    await runs.update(record.run_id, lambda run: run.changed(commands=many))

    with pytest.raises(WrongStateError):
        await give_command(runs, record.run_id, "retry", by="otto", now=NOW)
    await give_command(runs, record.run_id, "abort", by="otto", now=NOW)

    assert await read(runs, record) == ("abort", COMMANDS_MAX)


async def test_an_unknown_rotation_takes_no_command_and_another_runs_workflow_reads_none(runs: RotationStore) -> None:
    """What does not exist is unknown, and a workflow without the run's token is fenced."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)

    with pytest.raises(UnknownRotationError):
        await give_command(runs, new_run_id(RunKind.ROTATION, "default", NOW), "abort", by="otto", now=NOW)
    with pytest.raises(FencedError):
        await read(runs, record.changed(fencing_token=99))
