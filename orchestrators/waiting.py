"""How a run's workflow waits: for the approver's decision, and for the operator's command.

An event only wakes the workflow: the run's record says what was decided. One wait for an event outlives many timers,
because an abandoned wait would swallow the event that is meant for its successor.
"""

from datetime import timedelta

from durabletask.task import when_any

from keyturn.contracts.base import Policy
from keyturn.contracts.states import State
from keyturn.contracts.steps import CommandInput, CommandResult, DecisionInput, DecisionResult
from orchestrators.calls import Steps, call_forever, now
from orchestrators.run_recorder import Outcome, RunRecorder

# After an event the record is read again, so long after the last read: that may have come from a replica which had not
# received yet what the event is about.
LOOKS = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=30))

DECISION_EVENT = "decision"
COMMAND_EVENT = "command"


def wait_for_decision(recorder: RunRecorder, policy: Policy, digest: str) -> Steps[Outcome]:
    """Wait for a decision on exactly this evidence; returns APPROVED, or ENDED."""
    ctx = recorder.ctx
    expires = now(ctx) + policy.approval_expiry
    remind = now(ctx) + policy.approval_reminder
    request = DecisionInput(run=recorder.ref, evidence_digest=digest)
    events = {name: ctx.wait_for_external_event(name) for name in (DECISION_EVENT, COMMAND_EVENT)}
    looks: list[timedelta] = []
    while True:
        found = yield from call_forever(ctx, "read_decision", request, DecisionResult)
        if found.decision == "approved":
            yield from recorder.notify("approved", f"by {found.decided_by}")
            return Outcome.APPROVED
        if found.decision == "rejected":
            return (yield from end(recorder, State.REJECTED, found.decided_by))
        if found.decision == "aborted":
            return (yield from end(recorder, State.ABORTED, found.decided_by))
        if now(ctx) >= expires:
            return (yield from end(recorder, State.EXPIRED, None))
        if now(ctx) >= remind:
            remind = now(ctx) + policy.approval_reminder
            yield from recorder.notify("approval_reminder", digest)
        soon = [now(ctx) + looks.pop(0)] if looks else []
        timer = ctx.create_timer(min(remind, expires, *soon))
        woken = yield when_any([*events.values(), timer])
        for name, event in events.items():
            if woken is event:
                events[name] = ctx.wait_for_external_event(name)
                timer.cancel()
                looks = list(LOOKS)


def wait_for_operator(recorder: RunRecorder, reason: str) -> Steps[Outcome]:
    """Wait in needs_attention until an operator asks for another try, or for the end; returns AGAIN, or ENDED."""
    yield from recorder.advance(State.NEEDS_ATTENTION, reason)
    yield from recorder.notify("needs_attention", reason)
    return (yield from _wait_for_command(recorder))


def _wait_for_command(recorder: RunRecorder) -> Steps[Outcome]:
    ctx = recorder.ctx
    event = ctx.wait_for_external_event(COMMAND_EVENT)
    looks: list[timedelta] = []
    while True:
        request = CommandInput(run=recorder.ref, seen=recorder.commands_seen)
        found = yield from call_forever(ctx, "read_command", request, CommandResult)
        recorder.commands_seen = found.seen
        if found.command == "retry":
            return Outcome.AGAIN
        if found.command == "abort":
            return (yield from end(recorder, State.ABORTED, None))
        timer = ctx.create_timer(now(ctx) + looks.pop(0)) if looks else None
        woken = yield event if timer is None else when_any([event, timer])
        if timer is None or woken is event:
            event = ctx.wait_for_external_event(COMMAND_EVENT)
            looks = list(LOOKS)
        if timer is not None and woken is not timer:
            timer.cancel()


def end(recorder: RunRecorder, state: State, by: str | None) -> Steps[Outcome]:
    """Enter an end and send its notification; returns ENDED."""
    yield from recorder.advance(state, f"by {by}" if by else "")
    yield from recorder.notify(state.value)
    return Outcome.ENDED
