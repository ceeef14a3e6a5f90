"""How the ``rotation`` workflow waits for people.

An event is only a nudge: after every wake-up the run's record says what was decided. One wait for an event outlives
many timers, because a wait that nobody looks at any more would swallow the event that is meant for its successor.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext, Task, when_any

from keyturn.contracts import CommandInput, CommandResult, DecisionInput, DecisionResult, RotationInput
from keyturn.contracts.states import State
from orchestrators.calls import call, now
from orchestrators.run_recorder import RunRecorder

# After an event the record is looked at again, so long after the last look: it may have been read from a replica that
# had not received yet what the event is about.
LOOKS = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=30))

DECISION_EVENT = "decision"
COMMAND_EVENT = "command"


def wait_for_decision(
    ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder, digest: str
) -> Generator[Task[Any], Any, State | None]:
    """Wait for a decision on exactly this evidence; returns None when approved, else the end that was reached."""
    expires = now(ctx) + run.policy.approval_expiry
    remind = now(ctx) + run.policy.approval_reminder
    request = DecisionInput(run=recorder.ref, evidence_digest=digest)
    events = {name: ctx.wait_for_external_event(name) for name in (DECISION_EVENT, COMMAND_EVENT)}
    looks: list[timedelta] = []
    while True:
        found = yield from call(ctx, "read_decision", request, DecisionResult)
        if found.decision == "approved":
            yield from recorder.notify("approved", f"by {found.decided_by}")
            return None
        if found.decision == "rejected":
            return (yield from end(recorder, State.REJECTED, found.decided_by))
        if found.decision == "aborted":
            return (yield from end(recorder, State.ABORTED, found.decided_by))
        if now(ctx) >= expires:
            return (yield from end(recorder, State.EXPIRED, None))
        if now(ctx) >= remind:
            remind = now(ctx) + run.policy.approval_reminder
            yield from recorder.notify("approval_reminder", digest)
        soon = [now(ctx) + looks.pop(0)] if looks else []
        timer = ctx.create_timer(min(remind, expires, *soon))
        woken = yield when_any([*events.values(), timer])
        for name, event in events.items():
            if woken is event:
                events[name] = ctx.wait_for_external_event(name)
                timer.cancel()
                looks = list(LOOKS)


def wait_for_command(ctx: OrchestrationContext, recorder: RunRecorder) -> Generator[Task[Any], Any, State | None]:
    """Wait until an operator asks for another try (returns None) or for the end."""
    event = ctx.wait_for_external_event(COMMAND_EVENT)
    looks: list[timedelta] = []
    while True:
        request = CommandInput(run=recorder.ref, seen=recorder.commands_seen)
        found = yield from call(ctx, "read_command", request, CommandResult)
        recorder.commands_seen = found.seen
        if found.command == "retry":
            return None
        if found.command == "abort":
            return (yield from end(recorder, State.ABORTED, None))
        timer = ctx.create_timer(now(ctx) + looks.pop(0)) if looks else None
        woken = yield event if timer is None else when_any([event, timer])
        if timer is None or woken is event:
            event = ctx.wait_for_external_event(COMMAND_EVENT)
            looks = list(LOOKS)
        if timer is not None and woken is not timer:
            timer.cancel()


def end(recorder: RunRecorder, state: State, by: str | None) -> Generator[Task[Any], Any, State]:
    """End the rotation, and tell people."""
    yield from recorder.advance(state, f"by {by}" if by else "")
    yield from recorder.notify(state.value)
    return state
