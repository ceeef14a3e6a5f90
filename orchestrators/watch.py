"""``watch``: the trial period after the disable.

At every watch interval it decrypts the canaries, asks the probes and counts rows (a row under a retired version means
that a writer is stale and its rows are unreadable). The first failure ends it: the caller reinstates. The time that a
canary needs to fail after the disable is at most the watch interval.
"""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext

from keyturn.contracts.base import RunInput
from keyturn.contracts.passes import CensusInput, CensusResult
from keyturn.contracts.steps import VerifyResult, WatchInput, WatchResult
from orchestrators.calls import Steps, call, now, sub_workflow

bp = df.Blueprint()

# A tick leaves about a dozen events; a generation ends well before 1,000.
TICKS_PER_GENERATION = 50


@bp.orchestration_trigger(context_name="context")
@sub_workflow
def watch(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Watch; see the module's text."""
    state = WatchInput.from_payload(payload)
    ref = state.run
    started = state.started_at or now(ctx)
    for _ in range(TICKS_PER_GENERATION):
        verified = yield from call(ctx, "verify", RunInput(run=ref), VerifyResult)
        if not verified.passed:
            return WatchResult(healthy=False, reason="failed: " + ", ".join(verified.failed_checks)).to_payload()
        census = yield from call(
            ctx, "take_census", CensusInput(run=ref, target_version=state.target_version), CensusResult
        )
        if census.stale:
            reason = f"{census.stale} rows are not on the new version: a writer still wraps under a retired one"
            return WatchResult(healthy=False, reason=reason).to_payload()
        remaining = started + state.policy.watch - now(ctx)
        if remaining <= timedelta(0):
            return WatchResult(healthy=True).to_payload()
        yield ctx.create_timer(min(state.policy.watch_interval, remaining))
    ctx.continue_as_new(state.model_copy(update={"started_at": started}).to_payload())
    return None
