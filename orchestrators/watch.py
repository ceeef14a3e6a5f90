"""``watch``: the trial period after the disable.

At every watch interval it decrypts the canaries, asks the probes and counts rows (a row under a retired version means
that a writer is stale and its rows are unreadable). A look that fails, or that is not possible, is repeated soon; a
second failure ends the watch, and so does an operator's order: the caller reinstates. From the moment that something
is wrong, that takes the watch interval and two looks with a pause at most.
"""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext, RetryPolicy, TaskFailedError

from keyturn.contracts.base import RunInput
from keyturn.contracts.passes import CensusInput, CensusResult
from keyturn.contracts.steps import CommandInput, CommandResult, VerifyResult, WatchInput, WatchResult
from orchestrators.calls import StepFailedError, Steps, call, now, sub_workflow

bp = df.Blueprint()

# A tick leaves about sixteen events, and more where it fails; a generation ends well before 1,000.
TICKS_PER_GENERATION = 20

# Versions are disabled: what does not answer in about a minute, the SDK's own tries included, may be broken by that.
RETRY = RetryPolicy(first_retry_interval=timedelta(seconds=5), max_number_of_attempts=3, backoff_coefficient=2.0)
AGAIN = timedelta(seconds=10)  # from a look that failed to the one that confirms it

ORDERED = "an operator ordered it"


@bp.orchestration_trigger(context_name="context")
@sub_workflow
def watch(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Watch; see the module's text."""
    state = WatchInput.from_payload(payload)
    started = state.started_at or now(ctx)
    for _ in range(TICKS_PER_GENERATION):
        wrong = yield from _check_once(ctx, state)
        if wrong and wrong != ORDERED:
            yield ctx.create_timer(min(state.policy.watch_interval, AGAIN))
            wrong = yield from _check_once(ctx, state)
        if wrong:
            return WatchResult(healthy=False, reason=wrong).to_payload()
        remaining = started + state.policy.watch - now(ctx)
        if remaining <= timedelta(0):
            return WatchResult(healthy=True).to_payload()
        yield ctx.create_timer(min(state.policy.watch_interval, remaining))
    ctx.continue_as_new(state.model_copy(update={"started_at": started}).to_payload())
    return None


def _check_once(ctx: OrchestrationContext, state: WatchInput) -> Steps[str]:
    """Look once, and return what is wrong, or nothing."""
    ref, name = state.run, "read_command"
    try:
        command = CommandInput(run=ref, seen=state.commands_seen)
        if (yield from call(ctx, name, command, CommandResult, retry=RETRY)).command == "reinstate":
            return ORDERED
        name = "verify"
        verified = yield from call(ctx, name, RunInput(run=ref), VerifyResult, retry=RETRY)
        if not verified.passed:
            return "failed: " + ", ".join(verified.failed_checks)
        name = "take_census"
        census = CensusInput(run=ref, target_version=state.target_version)
        stale = (yield from call(ctx, name, census, CensusResult, retry=RETRY)).stale
    except (StepFailedError, TaskFailedError) as error:
        failure = StepFailedError.of(error)
        if not failure.recoverable:
            raise
        return f"{name} was not possible: {failure.message}"
    return f"{stale} rows are not on the new version: a writer still wraps under a retired one" if stale else ""
