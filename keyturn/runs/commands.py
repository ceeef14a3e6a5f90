"""What an operator may tell a run to do: try again, end, or take a retirement back.

A retry is meant for the wait in which it was given and is void afterwards. An abort is never void: a sweep or a soak
looks for it after every wave of pages, and no state but an end can be entered once it was given.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from keyturn.contracts.base import Payload, PersonName
from keyturn.contracts.states import State
from keyturn.contracts.steps import CommandInput, CommandResult
from keyturn.errors import WrongStateError
from keyturn.runs.audit import audit_record, audit_refusals
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import COMMANDS_MAX, Command
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import Runs
from keyturn.runs.transitions import check_live


def abortable(transitions: Mapping[State, frozenset[State]]) -> frozenset[State]:
    """Return the states in which a run can be told to end."""
    return frozenset(state for state, targets in transitions.items() if State.ABORTED in targets)


_REINSTATABLE = frozenset({State.RETIRING, State.WATCHING, State.COMPLETED})


class CommandRequest(Payload):
    """The body of a command; may be left out where the platform vouches for the caller."""

    requested_by: PersonName | None = None


type Order = Literal["retry", "abort", "reinstate"]


def allowed_in(record: RunRecord, command: Order, now: datetime) -> frozenset[State]:
    """Return the states in which the run takes the command."""
    if command == "retry":
        return frozenset({State.NEEDS_ATTENTION})
    if command == "abort":
        return abortable(record.transitions)
    retained = record.ended_at is None or now < record.ended_at + record.policy.retain
    return _REINSTATABLE if isinstance(record, RotationRecord) and record.retirement_step and retained else frozenset()


def _listed(record: RunRecord, allowed: Collection[State]) -> str:
    if record.state in allowed:
        return "it was told to end, or told too often"
    return f"expected {' or '.join(sorted(allowed)) or 'a run that still can'}"


def give_command[R: RunRecord](record: R, command: Order, *, by: str, now: datetime) -> R:
    """Return the record with the command; the same command in the same wait is one, and returns the record as it is.

    Raises:
        WrongStateError: the run is not in a state in which this can be asked.
    """
    allowed = allowed_in(record, command, now)
    # Two places are kept free, so that a run can always be ended, and its retirement taken back.
    refused = command == "retry" and (record.abort is not None or len(record.commands) >= COMMANDS_MAX - 2)
    if record.state not in allowed or refused:
        raise WrongStateError(
            f"the run takes no {command} while it is {record.state}: {_listed(record, allowed)}",
            hint=f"see what it waits for: keyturn status {record.run_id}",
            rotationId=record.run_id,
            state=record.state.value,
            allowed=sorted(allowed),
        )
    given = Command(command=command, by=by, at=now, step=record.step)
    same = [earlier for earlier in record.commands if earlier.command == command]
    if any(command != "retry" or earlier.step == record.step for earlier in same):
        return record
    withdrawn = {"withdrawn_step": record.step} if command == "reinstate" else {}
    return record.changed(commands=[*record.commands, given], **withdrawn)


async def record_command[R: RunRecord](runs: Runs[R], run_id: str, command: Order, *, by: str, now: datetime) -> R:
    """Store the command in the run's record, and return it; a refusal is audited.

    Raises:
        CallerError: there is no such run.
        WrongStateError: as ``give_command``.
    """
    async with audit_refusals(runs, run_id, command, by=by, now=now):
        record = await runs.update(run_id, lambda found: give_command(found, command, by=by, now=now))
    await audit_record(runs.audit, record, now)
    return record


async def read_command[R: RunRecord](runs: Runs[R], request: CommandInput) -> CommandResult:
    """Return the first command that was not acted upon and still holds.

    Raises:
        FencedError: the run is not the one that this input belongs to.
    """
    record = await runs.read(request.run.run_id)
    check_live(record, request.run)
    for number, command in enumerate(record.commands[request.seen :], start=request.seen + 1):
        if command.command != "retry" or command.step == record.step:
            return CommandResult(command=command.command, seen=number)
    return CommandResult(command="none", seen=len(record.commands))
