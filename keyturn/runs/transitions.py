"""State changes: checked against the table, numbered, written to the history, each applied once.

``advance``, ``enter`` and ``fail`` decide: record in, record out. ``record_step``, ``record_failure``, ``lose`` and
``resume`` store what they decide, give the keyring's lease back at an end, and let the audit chain follow.

Going back to the sweep voids the decision, because the evidence that it was taken on no longer holds.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from keyturn.contracts.base import RunRef, StepInput
from keyturn.contracts.states import TERMINAL, State, check_transition
from keyturn.contracts.steps import FailureInput
from keyturn.errors import AbortRequestedError, FencedError, InvariantError, NotSettledError
from keyturn.runs.audit import audit_record
from keyturn.runs.lease import release, retake
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import DECISIONS_MAX, HISTORY_MAX, Failure, HistoryEntry, Quarantined
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import Runs

ACTOR = "keyturn"
WORKFLOW_LOST = "WorkflowLostError"  # why a run needed attention, or failed, whose workflow was not there
# The command that leads to a state; a retry is of one wait, the others hold for good.
_COMMANDS = {
    State.ABORTED: "abort",
    State.REINSTATED: "reinstate",
    State.PREFLIGHT: "retry",
    State.SWEEPING: "retry",
    State.RUNNING: "retry",
}
# Two instances of the app date the steps of one run; their clocks may differ by this much.
CLOCK_SLACK = timedelta(seconds=5)
HISTORY_HEAD = 50  # entries that a very long history keeps from its beginning


async def record_step[R: RunRecord](runs: Runs[R], step: StepInput, now: datetime) -> R:
    """Store what ``advance`` makes of the run's record, and return it; raises what ``advance`` raises."""
    stored = await runs.update(step.run.run_id, lambda record: advance(record, step, now))
    return await _settle(runs, stored, now)


async def record_failure[R: RunRecord](runs: Runs[R], failure: FailureInput, now: datetime) -> R:
    """End the run in ``failed`` with its reason; a run that has ended stays as it is.

    Versions that were disabled must have been enabled again before.
    """

    def change(record: R) -> R:
        check_token(record, failure.run)
        return fail(record, failure.error_type, failure.message, now)

    return await _settle(runs, await runs.update(failure.run.run_id, change), now)


async def lose[R: RunRecord](runs: Runs[R], run_id: str, reason: str, now: datetime) -> R:
    """End a run whose workflow could not be started in ``failed``."""
    lost = await runs.update(run_id, lambda record: fail(record, WORKFLOW_LOST, reason, now))
    return await _settle(runs, lost, now)


async def resume[R: RunRecord](runs: Runs[R], record: R, now: datetime, detail: str = WORKFLOW_LOST) -> R:
    """Let a run whose workflow is gone go on: with a greater token, so that nothing of that workflow counts any more.

    The run waits in ``needs_attention`` until its next workflow, which the caller starts, goes on with it, or until the
    caller goes on itself; where an abort was asked for, it ends. The ``detail`` says why.

    Raises:
        FencedError: the run does not hold its keyring.
    """

    def change(found: R) -> R:
        if found.abort is not None and State.ABORTED in found.transitions[found.state]:
            return enter(found, State.ABORTED, detail=detail, now=now)
        if found.state is State.NEEDS_ATTENTION:
            return found
        return enter(found, State.NEEDS_ATTENTION, detail=detail, now=now)

    return await _settle(runs, await retake(runs, record, change), now)


async def update_live[R: RunRecord](
    runs: Runs[R], ref: RunRef, change: Callable[[R], R], *, confirm: bool = False
) -> R:
    """Change the record as :meth:`Runs.update` does, of a run that goes on; raises as ``check_live``."""

    def changed(record: R) -> R:
        check_live(record, ref)
        return change(record)

    return await runs.update(ref.run_id, changed, confirm=confirm)


async def _settle[R: RunRecord](runs: Runs[R], record: R, now: datetime) -> R:
    # Also when nothing was changed: the first run of this step may have died between the writes.
    if record.ended:
        await release(runs, record)
    await audit_record(runs.audit, record, now)
    return record


def advance[R: RunRecord](record: R, step: StepInput, now: datetime) -> R:
    """Return the record after the step; a step that was applied before returns the record as it is.

    Raises:
        FencedError: the step belongs to another run, or the run was ended without this workflow.
        NotSettledError: the step before this one is not visible yet.
        InvariantError: the target may not be entered yet.
        InvalidTransitionError: the table does not know the change.
        AbortRequestedError: an operator asked to end the run, and the target is not an end.
    """
    check_token(record, step.run)
    if step.step <= record.step:
        if any(entry.step == step.step and entry.target != step.target for entry in record.history):
            # This number belongs to another change: the workflow was given up, and lives on.
            raise FencedError("the run went on without this workflow", rotationId=record.run_id, holder=None)
        return record
    if step.step > record.step + 1:
        # The workflow makes one change after the other: the predecessor is written, and a replica lags behind.
        raise NotSettledError(
            "a state change came before its predecessor",
            rotationId=record.run_id,
            step=step.step,
            expected=record.step + 1,
        )
    return enter(record, step.target, detail=step.detail, now=now)


def check_token(record: RunRecord, ref: RunRef) -> None:
    """Raise FencedError where the input is of a workflow that was given up, NotSettledError where the record is old."""
    if ref.fencing_token > record.fencing_token:
        raise NotSettledError("the run's record is older than its workflow", rotationId=ref.run_id)
    if ref.fencing_token < record.fencing_token:
        raise FencedError("the run went on without this workflow", rotationId=ref.run_id, holder=None)


def check_live(record: RunRecord, ref: RunRef) -> None:
    """Raise FencedError where the run has ended or went on without the input's workflow; else as ``check_token``."""
    check_token(record, ref)
    if record.ended:
        raise FencedError(f"the run has ended in {record.state}", rotationId=ref.run_id, holder=None)


def fail[R: RunRecord](record: R, error_type: str, message: str, now: datetime) -> R:
    """Return the record as failed, unless it has ended."""
    if record.ended:
        return record
    failed = record.changed(error=Failure(type=error_type, message=message))
    return enter(failed, State.FAILED, detail=error_type, now=now)


def enter[R: RunRecord](record: R, target: State, *, detail: str, now: datetime) -> R:
    """Return the record in its next state; raises InvalidTransitionError, InvariantError or AbortRequestedError."""
    check_transition(record.state, target, record.transitions)
    _check_goes_on(record, target)
    if target is State.COMPLETED and isinstance(record, RotationRecord):
        _check_completed(record, now)
    if target is State.RETIRING:
        _check_may_retire(record)
    entry = HistoryEntry(
        at=now, source=record.state, target=target, step=record.step + 1, actor=_actor(record, target), detail=detail
    )
    history, omitted = [*record.history, entry], record.history_omitted
    if len(history) > HISTORY_MAX:
        del history[HISTORY_HEAD]
        omitted += 1
    entered = record.changed(state=target, step=entry.step, history=history, history_omitted=omitted)
    if target is State.RETIRING:
        return entered.changed(reinstated=[])  # of an earlier attempt
    if target is State.SWEEPING:
        # The sweep meets every quarantined row again, so only those that are still there come back.
        return void_evidence(entered).changed(quarantined=Quarantined())
    if target is State.RUNNING:
        return entered.changed(quarantined=Quarantined())  # the same: whatever is still there is met again
    if target is State.SOAKING:
        return entered.changed(progress={name: value for name, value in record.progress.items() if name != "proof"})
    return entered.changed(ended_at=now) if entered.ended else entered


def _check_goes_on(record: RunRecord, target: State) -> None:
    """Raise AbortRequestedError where an abort was taken that could still be obeyed, and the target is no end.

    The abort and this change are writes to one document, so an abort that was taken before the retirement is obeyed.
    """
    if record.abort is None or target in TERMINAL or State.ABORTED not in record.transitions[record.state]:
        return
    raise AbortRequestedError("an operator asked to end the run", rotationId=record.run_id, requestedBy=record.abort.by)


def _check_completed(record: RotationRecord, now: datetime) -> None:
    """Raise InvariantError where an operator ordered otherwise, or the policy's trial period is not over."""
    if 0 < record.retirement_step <= record.withdrawn_step:
        raise InvariantError("an operator ordered that the versions be enabled again", rotationId=record.run_id)
    watched = record.state is State.WATCHING and record.history[-1].at + record.policy.watch <= now + CLOCK_SLACK
    if not watched and not record.options.dry_run:
        raise InvariantError("the rotation was not watched for as long as its policy says", rotationId=record.run_id)


def _check_may_retire(record: RunRecord) -> None:
    decision = record.decision
    if decision is None or decision.decision != "approved" or decision.digest != record.evidence_digest:
        raise InvariantError("nothing is retired without approval of the evidence", rotationId=record.run_id)
    if record.quarantined.count:
        raise InvariantError("nothing is retired while a row is quarantined", rotationId=record.run_id)


def _actor(record: RunRecord, target: State) -> str:
    """Return who brought the change about: a person where one decided or commanded it."""
    if target in (State.RETIRING, State.REJECTED) and record.decision is not None:
        return record.decision.by
    wanted = _COMMANDS.get(target)
    given = [command for command in record.commands if command.command == wanted]
    if given and (wanted != "retry" or given[-1].step == record.step):
        return given[-1].by
    return ACTOR


def void_evidence[R: RunRecord](record: R) -> R:
    """Return the record without evidence in force; a decision on it is kept among the voided ones."""
    return record.changed(
        evidence=None,
        evidence_digest=None,
        evidence_frozen_at=None,
        approval_expires_at=None,
        decision=None,
        decisions=record.taken[-DECISIONS_MAX:],
    )
