"""``rotation``: the whole of one rotation, one state after the other.

    preflight -> create the version -> sweep -> soak -> verify -> ask -> final sweep -> retire -> watch

Whatever is found after the evidence was frozen voids it and starts a new round at the sweep; each round is a generation
of its own, so history stays short however often that happens. Events only wake the workflow up: what was decided or
commanded is read from the run's record; an abort that was taken before the retirement is obeyed at the next wave of
pages or state change. A failure that an operator can put right waits for one, any other ends the rotation; both leave
every version enabled. A run whose workflow was lost goes on with another one, from its record.
"""

from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext, TaskFailedError

from keyturn.contracts.base import RotationInput, RunInput
from keyturn.contracts.passes import SweepInput, SweepResult
from keyturn.contracts.states import State
from keyturn.contracts.steps import (
    CreateVersionInput,
    PreflightResult,
    RetireInput,
    RetireResult,
    SoakInput,
    SoakResult,
    VerifyResult,
    VersionResult,
    WatchInput,
    WatchResult,
)
from orchestrators.calls import AbortedError, StepFailedError, Steps, call, call_workflow
from orchestrators.run_recorder import Outcome, RunRecorder
from orchestrators.soak import sample_share
from orchestrators.waiting import end, wait_for_decision, wait_for_operator

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def rotation(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Run one rotation; see the module's text."""
    run = RotationInput.from_payload(payload)
    recorder = RunRecorder(ctx, run)
    try:
        outcome = yield from _run(ctx, run, recorder)
    except AbortedError:
        outcome = yield from end(recorder, State.ABORTED, None)
    except (StepFailedError, TaskFailedError) as failure:
        outcome = yield from _after(recorder, StepFailedError.of(failure))
    if outcome is Outcome.AGAIN:
        again = {
            "step": recorder.step,
            "round": run.round + 1,
            "target_version": recorder.target,
            "commands_seen": recorder.commands_seen,
            "rewrapped": recorder.rewrapped,
            "reinstate": False,
        }
        ctx.continue_as_new(run.model_copy(update=again).to_payload(), save_events=True)
        return None
    return {"state": recorder.state}


def _run(ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder) -> Steps[Outcome]:
    """Bring the rotation to its target version, then go round once; returns ENDED, or AGAIN."""
    if run.reinstate:
        yield from recorder.reinstate("the workflow was lost")
    if recorder.target is not None:
        yield from recorder.advance(State.SWEEPING)
        # A creation that was given up may have taken effect since: writers are on that version then.
        yield from _create(ctx, run, recorder)
    elif (yield from _begin(ctx, run, recorder)) is Outcome.ENDED:
        return Outcome.ENDED
    else:
        yield from recorder.advance(State.SWEEPING)
    return (yield from _round(ctx, run, recorder, recorder.target or ""))


def _after(recorder: RunRecorder, failure: StepFailedError) -> Steps[Outcome]:
    """Take back what may be disabled; then wait for an operator who can put it right, else end in ``failed``."""
    reason = f"{failure.error_type}: {failure.message}"
    if recorder.state is State.WATCHING:
        return (yield from _reinstate(recorder, reason))
    if recorder.state is State.RETIRING:
        yield from recorder.reinstate(reason)
    if failure.recoverable:
        try:
            return (yield from wait_for_operator(recorder, reason))
        except AbortedError:
            return (yield from end(recorder, State.ABORTED, None))
    yield from recorder.fail(failure)
    return Outcome.ENDED


def _reinstate(recorder: RunRecorder, reason: str) -> Steps[Outcome]:
    """Enable again what was disabled, and end; returns ENDED."""
    yield from recorder.reinstate(reason)
    yield from recorder.advance(State.REINSTATED, reason)
    yield from recorder.notify("reinstated", reason)
    return Outcome.ENDED


def _begin(ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder) -> Steps[Outcome | None]:
    """Check, and create the version; returns ENDED where that is all."""
    yield from recorder.advance(State.PREFLIGHT)
    checked = yield from call(ctx, "preflight", RunInput(run=recorder.ref), PreflightResult)
    if not checked.passed:
        yield from recorder.advance(State.BLOCKED, ", ".join(checked.failed_checks))
        yield from recorder.notify("blocked", ", ".join(checked.failed_checks))
        return Outcome.ENDED
    if run.dry_run:
        yield from recorder.advance(State.COMPLETED, "dry run")
        return Outcome.ENDED
    yield from recorder.notify("started")
    yield from recorder.advance(State.CREATING_VERSION)
    yield from _create(ctx, run, recorder)
    return None


def _create(ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder) -> Steps[None]:
    """Make the new version, or find it."""
    policy = run.policy
    request = CreateVersionInput(run=recorder.ref, key_size=policy.key_size, creation_settle=policy.creation_settle)
    recorder.target = (yield from call(ctx, "create_version", request, VersionResult)).version


def _round(ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder, target: str) -> Steps[Outcome]:
    """Sweep, soak, verify, ask, retire, watch; returns ENDED, or AGAIN."""
    swept = yield from _sweep(ctx, run, recorder, target, name="sweep")
    if swept.quarantined or not swept.settled:
        return (yield from wait_for_operator(recorder, _why(swept)))
    yield from recorder.advance(State.SOAKING)
    soaked = yield from _soak(ctx, run, recorder, target, swept)
    if soaked.quarantined or soaked.unproven:
        return (yield from wait_for_operator(recorder, _why_soaked(soaked)))
    counted = yield from _sweep(ctx, run, recorder, target, name="settle", tokens=soaked.session_tokens)
    if counted.rewrapped or counted.quarantined or not counted.settled:
        return Outcome.AGAIN
    verified = yield from call(ctx, "verify", RunInput(run=recorder.ref), VerifyResult)
    if not verified.passed:
        return (yield from wait_for_operator(recorder, "failed: " + ", ".join(verified.failed_checks)))
    digest = yield from recorder.freeze(target, counted.census, swept, soaked)
    yield from recorder.advance(State.AWAITING_APPROVAL)
    yield from recorder.notify("approval_wanted", digest)
    decided = yield from wait_for_decision(recorder, run.policy, digest)
    if decided is not Outcome.APPROVED:
        return decided
    return (yield from _retire(ctx, run, recorder, target, digest))


def _retire(
    ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder, target: str, digest: str
) -> Steps[Outcome]:
    """Sweep once more, disable in the step that counts zero, watch; anything new voids the approval."""
    final = yield from _sweep(ctx, run, recorder, target, name="final")
    if final.rewrapped or final.quarantined or not final.settled:
        yield from recorder.notify("approval_void", "rows were written under an old version after the freeze")
        return Outcome.AGAIN
    yield from recorder.advance(State.RETIRING)
    request = RetireInput(
        run=recorder.ref,
        target_version=target,
        evidence_digest=digest,
        session_tokens=final.session_tokens,
        step=recorder.step,
    )
    retired = yield from call(ctx, "retire_versions", request, RetireResult)
    if retired.withdrawn:
        return (yield from _reinstate(recorder, "an operator ordered it"))
    if retired.stale or retired.planted:
        reason = f"{retired.stale} rows were under an old version at the last count"
        if retired.planted:
            reason = f"{retired.planted} rows were changed beside the rotation, which the evidence does not say"
        yield from recorder.notify("approval_void", reason)
        yield from recorder.reinstate(reason)  # a request of a run that died may be on its way
        return Outcome.AGAIN
    yield from recorder.notify("retired", ", ".join(retired.retired))
    yield from recorder.advance(State.WATCHING)
    watching = WatchInput(run=recorder.ref, target_version=target, policy=run.policy)
    watched = yield from call_workflow(ctx, "watch", watching, WatchResult, instance_id=_child(run, "watch"))
    if not watched.healthy:
        return (yield from _reinstate(recorder, watched.reason))
    yield from recorder.advance(State.COMPLETED)
    yield from recorder.notify("completed")
    return Outcome.ENDED


def _sweep(
    ctx: OrchestrationContext,
    run: RotationInput,
    recorder: RunRecorder,
    target: str,
    *,
    name: str,
    tokens: dict[str, str] | None = None,
) -> Steps[SweepResult]:
    request = SweepInput(run=recorder.ref, target_version=target, policy=run.policy, session_tokens=tokens or {})
    swept = yield from call_workflow(ctx, "sweep", request, SweepResult, instance_id=_child(run, name))
    if swept.aborted:
        raise AbortedError
    recorder.rewrapped += swept.rewrapped
    return swept


def _soak(
    ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder, target: str, swept: SweepResult
) -> Steps[SoakResult]:
    request = SoakInput(
        run=recorder.ref,
        target_version=target,
        policy=run.policy,
        session_tokens=swept.session_tokens,
        cursors=swept.cursors,
        last_stale_write=swept.last_stale_write,
        sample_share=sample_share(run.policy.proof, swept.census.rewrapped),
    )
    soaked = yield from call_workflow(ctx, "soak", request, SoakResult, instance_id=_child(run, "soak"))
    if soaked.aborted:
        raise AbortedError
    recorder.rewrapped += soaked.rewrapped
    return soaked


def _child(run: RotationInput, name: str) -> str:
    # The token: sub-workflows of a workflow that was lost may live on.
    return f"{run.run.run_id}:{run.run.fencing_token}.{run.round}:{name}"


def _why_soaked(soaked: SoakResult) -> str:
    if soaked.quarantined:
        return f"{soaked.quarantined} rows were quarantined while soaking"
    return f"{soaked.unproven} rewrapped rows were not met by the proof"


def _why(swept: SweepResult) -> str:
    if swept.quarantined:
        return f"{swept.quarantined} rows cannot be rewrapped"
    return f"writers keep creating rows under an old version: {swept.census.stale} left after {swept.passes} passes"
