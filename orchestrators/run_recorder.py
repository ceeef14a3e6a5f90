"""What the ``rotation`` workflow writes down: numbered state changes, notifications, frozen evidence, failures."""

from collections.abc import Generator
from typing import Any

from durabletask.task import OrchestrationContext, Task, TaskFailedError

from keyturn.contracts import (
    CensusResult,
    FailureInput,
    FreezeInput,
    FreezeResult,
    NotifyInput,
    RotationInput,
    RunRef,
    SoakResult,
    StepInput,
    SweepResult,
)
from keyturn.contracts.states import State
from orchestrators.calls import StepFailedError, call, now


class RunRecorder:
    """The run's record as the workflow sees it. State changes are numbered, so that a repeated one changes nothing."""

    def __init__(self, ctx: OrchestrationContext, run: RotationInput) -> None:
        self._ctx = ctx
        self._run = run
        self.ref = run.run
        self.step = run.step
        self.commands_seen = run.commands_seen
        self.rewrapped = run.rewrapped
        self.retiring = False  # from here on, versions may be disabled
        self.state: State | None = None
        self._told = 0  # notifications since the last state change

    def advance(self, target: State, detail: str = "") -> Generator[Task[Any], Any]:
        """Change the state in the record; raises AbortedError where an operator asked to end the rotation instead."""
        request = StepInput(run=self.ref, step=self.step + 1, target=target, detail=detail)
        yield from call(self._ctx, "advance", request, RunRef)
        self.step += 1  # only now: a change that was refused has no number
        self.state = target
        self._told = 0

    def notify(self, event: str, detail: str = "") -> Generator[Task[Any], Any]:
        """Tell people, once each time that this is called: the key is the same on every replay and in every retry."""
        self._told += 1
        key = f"{self.step}.{self._told}:{event}"
        request = NotifyInput(run=self.ref, key=key, event=event, detail=detail)
        yield from call(self._ctx, "notify", request, RunRef)

    def freeze(
        self, target: str, census: CensusResult, swept: SweepResult, soaked: SoakResult
    ) -> Generator[Task[Any], Any, str]:
        """Freeze the evidence and return its digest."""
        seen = [at for at in (swept.last_stale_write, soaked.last_stale_write) if at is not None]
        request = FreezeInput(
            run=self.ref,
            target_version=target,
            census=census,
            stale_writers=swept.stale_writers + soaked.stale_writers,
            last_stale_write=max(seen, default=None),
            expires_at=now(self._ctx) + self._run.policy.approval_expiry,
        )
        return (yield from call(self._ctx, "freeze_evidence", request, FreezeResult)).evidence_digest

    def fail(self, error: StepFailedError | TaskFailedError) -> Generator[Task[Any], Any]:
        """End in ``failed``, with every version enabled again that this rotation disabled."""
        if isinstance(error, StepFailedError):
            error_type, message = error.error_type, error.message
        else:
            error_type, message = error.details.error_type, error.details.message
        self.step += 1
        request = FailureInput(
            run=self.ref,
            step=self.step,
            error_type=error_type,
            message=message,
            retire_attempted=self.retiring,
        )
        yield from call(self._ctx, "record_failure", request, RunRef)
        self.state = State.FAILED
        yield from self.notify("failed", error_type)
