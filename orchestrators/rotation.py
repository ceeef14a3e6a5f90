"""``rotation``: the whole of one rotation, one state after the other.

    preflight -> create the version -> sweep -> soak -> verify -> ask -> final sweep -> retire -> watch

Whatever is found after the evidence was frozen voids it and starts a new round at the sweep; each round is a generation
of its own, so history stays short however often that happens. Events only wake the workflow up: what was decided or
commanded is read from the run's record; an abort that was taken before the retirement is obeyed at the next wave of
pages or state change. Any failure ends with every version enabled again.
"""

from typing import Any, Literal

import azure.durable_functions as df
from durabletask.task import OrchestrationContext, TaskFailedError

from keyturn.contracts.base import RotationInput, RunInput
from keyturn.contracts.passes import SweepInput, SweepResult
from keyturn.contracts.states import State
from keyturn.contracts.steps import (
    CreateVersionInput,
    PreflightResult,
    ReinstateInput,
    ReinstateResult,
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
    target: str | Literal[Outcome.ENDED]
    try:
        target = run.target_version or (yield from _begin(ctx, run, recorder))
        outcome = target if target is Outcome.ENDED else (yield from _round(ctx, run, recorder, target))
    except AbortedError:
        outcome = yield from end(recorder, State.ABORTED, None)
    except (StepFailedError, TaskFailedError) as error:
        yield from recorder.fail(error)
        outcome = Outcome.ENDED
    if outcome is Outcome.AGAIN:
        again = {
            "step": recorder.step,
            "round": run.round + 1,
            "target_version": target,
            "commands_seen": recorder.commands_seen,
            "rewrapped": recorder.rewrapped,
        }
        ctx.continue_as_new(run.model_copy(update=again).to_payload(), save_events=True)
        return None
    return {"state": recorder.state}


def _begin(ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder) -> Steps[str | Literal[Outcome.ENDED]]:
    """Check, and create the version; returns the version, or ENDED."""
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
    request = CreateVersionInput(
        run=recorder.ref, key_size=run.policy.key_size, creation_settle=run.policy.creation_settle
    )
    return (yield from call(ctx, "create_version", request, VersionResult)).version


def _round(ctx: OrchestrationContext, run: RotationInput, recorder: RunRecorder, target: str) -> Steps[Outcome]:
    """Sweep, soak, verify, ask, retire, watch; returns ENDED, or AGAIN."""
    yield from recorder.advance(State.SWEEPING)
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
    recorder.retiring = True
    request = RetireInput(
        run=recorder.ref, target_version=target, evidence_digest=digest, session_tokens=final.session_tokens
    )
    retired = yield from call(ctx, "retire_versions", request, RetireResult)
    if retired.stale:
        yield from recorder.notify("approval_void", f"{retired.stale} rows were under an old version at the last count")
        return Outcome.AGAIN
    yield from recorder.notify("retired", ", ".join(retired.retired))
    yield from recorder.advance(State.WATCHING)
    watching = WatchInput(run=recorder.ref, target_version=target, policy=run.policy)
    watched = yield from call_workflow(ctx, "watch", watching, WatchResult, instance_id=_child(run, "watch"))
    if not watched.healthy:
        undo = ReinstateInput(run=recorder.ref, reason=watched.reason)
        yield from call(ctx, "reinstate_versions", undo, ReinstateResult)
        yield from recorder.advance(State.REINSTATED, watched.reason)
        yield from recorder.notify("reinstated", watched.reason)
        return Outcome.ENDED
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
        sample_share=sample_share(run.policy.proof, recorder.rewrapped),
    )
    soaked = yield from call_workflow(ctx, "soak", request, SoakResult, instance_id=_child(run, "soak"))
    if soaked.aborted:
        raise AbortedError
    recorder.rewrapped += soaked.rewrapped
    return soaked


def _child(run: RotationInput, name: str) -> str:
    return f"{run.run.run_id}:r{run.round}:{name}"


def _why_soaked(soaked: SoakResult) -> str:
    if soaked.quarantined:
        return f"{soaked.quarantined} rows were quarantined while soaking"
    return f"{soaked.unproven} rewrapped rows were not met by the proof"


def _why(swept: SweepResult) -> str:
    if swept.quarantined:
        return f"{swept.quarantined} rows cannot be rewrapped"
    return f"writers keep creating rows under an old version: {swept.census.stale} left after {swept.passes} passes"
