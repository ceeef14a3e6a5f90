"""Operators' commands as they are stored, and as the workflow reads them."""

import pytest

from keyturn.contracts.states import State
from keyturn.contracts.steps import CommandInput
from keyturn.errors import FencedError, UnknownRotationError, WrongStateError
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.commands import read_command, record_command
from keyturn.runs.record_parts import Command
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from tests.keyturn.runs.lifecycle import NOW, bring_to, step_to


async def read(runs: RotationStore, record: RotationRecord, seen: int = 0) -> tuple[str, int]:
    """Return what the workflow reads, and how far it then has read."""
    result = await read_command(runs, CommandInput(run=record.ref, seen=seen))
    return result.command, result.seen


async def test_the_same_command_twice_is_one(runs: RotationStore) -> None:
    """A repeated request does not make the rotation obey twice."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)

    for by in ("otto", "olga"):
        given = await record_command(runs, record.run_id, "retry", by=by, now=NOW)

    assert [command.by for command in given.commands] == ["otto"]
    assert await read(runs, record) == ("retry", 1)
    assert await read(runs, record, seen=1) == ("none", 1)


async def test_a_retry_is_void_after_its_wait(runs: RotationStore) -> None:
    """A retry that the workflow did not need is not obeyed in a later wait; one given there is."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    await record_command(runs, record.run_id, "retry", by="otto", now=NOW)
    for target in (State.SWEEPING, State.NEEDS_ATTENTION):
        record = await step_to(runs, record, target)
    void = await read(runs, record)
    await record_command(runs, record.run_id, "retry", by="otto", now=NOW)

    assert void == ("none", 1)
    assert await read(runs, record) == ("retry", 2)


async def test_an_abort_is_never_void_and_ends_all_retries(runs: RotationStore) -> None:
    """An abort that the workflow has not obeyed yet still holds; after it no retry is taken."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)
    await record_command(runs, record.run_id, "abort", by="otto", now=NOW)

    with pytest.raises(WrongStateError):
        await record_command(runs, record.run_id, "retry", by="olga", now=NOW)

    assert await read(runs, record) == ("abort", 1)


async def test_an_order_to_reinstate_holds_from_the_disable_on(runs: RotationStore) -> None:
    """An order that is given while versions are disabled is read by the watch that begins after it."""
    record = await bring_to(runs, State.RETIRING)
    order = Command(command="reinstate", by="otto", at=NOW, step=record.step)
    await runs.update(record.run_id, lambda run: run.changed(commands=[order]))
    record = await step_to(runs, record, State.WATCHING)

    assert await read(runs, record) == ("reinstate", 1)
    assert await read(runs, record, seen=1) == ("none", 1)


async def test_an_unknown_rotation_takes_no_command_and_another_runs_workflow_reads_none(runs: RotationStore) -> None:
    """What does not exist is unknown, and a workflow without the run's token is fenced."""
    record = await bring_to(runs, State.NEEDS_ATTENTION)

    with pytest.raises(UnknownRotationError):
        await record_command(runs, new_run_id(RunKind.ROTATION, "default", NOW), "abort", by="otto", now=NOW)
    with pytest.raises(FencedError):
        await read(runs, record.changed(fencing_token=0))
