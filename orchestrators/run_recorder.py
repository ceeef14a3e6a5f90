"""What a run's workflow writes down: numbered state changes, notifications, frozen evidence, failures."""

from contextlib import suppress
from enum import Enum

from durabletask.task import OrchestrationContext, TaskFailedError

from keyturn.contracts.base import RotationInput, RunRef, StepInput
from keyturn.contracts.passes import CensusResult, SweepResult
from keyturn.contracts.states import State
from keyturn.contracts.steps import (
    FailureInput,
    FreezeInput,
    FreezeResult,
    NotifyInput,
    ReinstateInput,
    ReinstateResult,
    SoakResult,
)
from orchestrators.calls import StepFailedError, Steps, call, call_forever, now


class Outcome(Enum):
    """How a round of a run, or a wait within it, came out."""

    ENDED = "ended"  # the run is in one of its ends: ``RunRecorder.state`` is that end
    AGAIN = "again"  # the run goes round again, as another generation of its workflow
    APPROVED = "approved"  # the evidence that the wait was about is approved: the run goes on


class RunRecorder:
    """The run's record as the workflow sees it. State changes are numbered, so that a repeated one changes nothing."""

    def __init__(self, ctx: OrchestrationContext, run: RotationInput) -> None:
        self.ctx = ctx
        self._run = run
        self.ref = run.run
        self.step = run.step
        self.commands_seen = run.commands_seen
        self.rewrapped = run.rewrapped
        self.target = run.target_version
        self.state: State | None = None
        self._notified = 0  # notifications since the last state change

    def advance(self, target: State, detail: str = "") -> Steps[None]:
        """Change the state in the record; raises AbortedError where an operator asked to end the run instead."""
        request = StepInput(run=self.ref, step=self.step + 1, target=target, detail=detail)
        yield from call_forever(self.ctx, "advance", request, RunRef)
        self.step += 1  # only now: a change that was refused has no number
        self.state = target
        self._notified = 0

    def notify(self, event: str, detail: str = "") -> Steps[None]:
        """Send a notification, once each call: its key is the same on every replay and in every retry.

        A message that cannot be sent changes nothing about the run; the activity's log says what went wrong.
        """
        self._notified += 1
        key = f"{self.step}.{self._notified}:{event}"
        request = NotifyInput(run=self.ref, key=key, event=event, detail=detail)
        with suppress(StepFailedError, TaskFailedError):
            yield from call(self.ctx, "notify", request, RunRef)

    def freeze(self, target: str, census: CensusResult, swept: SweepResult, soaked: SoakResult) -> Steps[str]:
        """Freeze the evidence and return its digest."""
        seen = [at for at in (swept.last_stale_write, soaked.last_stale_write) if at is not None]
        request = FreezeInput(
            run=self.ref,
            target_version=target,
            census=census,
            stale_writers=swept.stale_writers + soaked.stale_writers,
            last_stale_write=max(seen, default=None),
            expires_at=now(self.ctx) + self._run.policy.approval_expiry,
        )
        return (yield from call(self.ctx, "freeze_evidence", request, FreezeResult)).evidence_digest

    def reinstate(self, reason: str) -> Steps[None]:
        """Withdraw the retirement and enable what it disabled, once more when no late request can arrive any more."""
        request = ReinstateInput(run=self.ref, reason=reason, step=self.step)
        yield from call_forever(self.ctx, "reinstate_versions", request, ReinstateResult)
        yield self.ctx.create_timer(self._run.policy.creation_settle)
        yield from call_forever(self.ctx, "reinstate_versions", request, ReinstateResult)

    def fail(self, error: StepFailedError) -> Steps[None]:
        """End in ``failed``; what this run disabled must be enabled before."""
        self.step += 1
        request = FailureInput(run=self.ref, step=self.step, error_type=error.error_type, message=error.message)
        yield from call_forever(self.ctx, "record_failure", request, RunRef)
        self.state = State.FAILED
        yield from self.notify("failed", error.error_type)
