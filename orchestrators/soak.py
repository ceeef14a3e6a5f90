"""``soak``: the wait between a clean census and the request for approval, and the proof made in that idle time.

1. Prove every row that this rotation rewrapped, or a sample of them, at a share of the rewrap budget; or, by policy,
   nothing.
2. At every tail interval: sweep the tail of the change feed, and prove what that rewrapped.
3. End when the soak time is over and no stale row was met for the quiet interval; at once when a row was quarantined
   or an operator asked to end the rotation.
4. Before that end, count: where every row is to be proven, and more rows were rewrapped than proven, go on for some
   intervals (a lagging replica shows them late), and then say how many are missing.
"""

import math
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext

from keyturn.contracts.base import ProofScope
from keyturn.contracts.passes import CensusInput, CensusResult, PassInput, PassResult
from keyturn.contracts.steps import SoakInput, SoakResult
from orchestrators.calls import Steps, call, call_workflow, now, sub_workflow

bp = df.Blueprint()

# A tick leaves about a dozen events; a generation ends well before 1,000.
TICKS_PER_GENERATION = 40

# Tail intervals for which rows that were rewrapped and not proven are waited for.
RECOUNTS_MAX = 4


@bp.orchestration_trigger(context_name="context")
@sub_workflow
def soak(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Soak; see the module's text."""
    state = SoakInput.from_payload(payload)
    if state.started_at is None:
        state = state.model_copy(update={"started_at": now(ctx)})
    quarantined, unproven, aborted = 0, 0, False
    while True:
        if state.policy.proof.mode != "unsafe_off":
            proof = yield from _pass(ctx, state, "prove", cursors=state.proof_cursors)
            quarantined, aborted = quarantined + proof.totals.quarantined, aborted or proof.aborted
            proven = state.proven + proof.totals.changed
            state = state.model_copy(
                update={"proof_cursors": proof.cursors, "proven": proven, "ticks": state.ticks + 1}
            )
        remaining = _remaining(state, now(ctx))
        if quarantined or aborted:
            break
        if remaining <= timedelta(0):
            unproven = yield from _unproven(ctx, state)
            if not unproven or state.recounts >= RECOUNTS_MAX:
                break
            state = state.model_copy(update={"recounts": state.recounts + 1})
            remaining = state.policy.tail_interval
        if state.ticks >= TICKS_PER_GENERATION:
            ctx.continue_as_new(state.model_copy(update={"ticks": 0}).to_payload())
            return None
        yield ctx.create_timer(min(state.policy.tail_interval, remaining))
        tail = yield from _pass(ctx, state, "rewrap", cursors=state.cursors)
        quarantined, aborted = quarantined + tail.totals.quarantined, tail.aborted
        state = _after_tail(state, tail, now(ctx))
    return SoakResult(
        quarantined=quarantined,
        unproven=unproven,
        proven=state.proven,
        rewrapped=state.rewrapped,
        stale_writers=state.stale_writers,
        last_stale_write=state.last_stale_write,
        session_tokens=state.session_tokens,
        aborted=aborted,
    ).to_payload()


def sample_share(proof: ProofScope, rewrapped: int) -> float:
    """Return the share of the rewrapped rows that the policy wants proven, never less than it wants but by chance.

    Which rows are taken is left to their ids, so how many come together varies around the mean by about its square
    root: the mean is chosen so that three times that much less is still enough.
    """
    if proof.mode != "sample" or rewrapped == 0:
        return 1.0
    mean = ((3 + math.sqrt(9 + 4 * proof.size)) / 2) ** 2
    return min(1.0, mean / rewrapped)


def _unproven(ctx: OrchestrationContext, state: SoakInput) -> Steps[int]:
    """Count the rewrapped rows, and return how many more they are than the proven ones."""
    if state.policy.proof.mode != "all":
        return 0
    request = CensusInput(
        run=state.run,
        target_version=state.target_version,
        session_tokens=state.session_tokens,
    )
    census = yield from call(ctx, "take_census", request, CensusResult)
    # A row that changes after its proof is proven again, so there may be more proofs than rows, never fewer.
    return max(0, census.rewrapped - state.proven)


def _remaining(state: SoakInput, at: datetime) -> timedelta:
    """How long to soak on: the rest of the soak time, or of the quiet interval after the last stale row."""
    if state.started_at is None:  # set in the first generation
        return state.policy.soak
    ends = state.started_at + state.policy.soak
    if state.last_stale_write is not None:
        ends = max(ends, state.last_stale_write + state.policy.quiet_interval)
    return ends - at


def _after_tail(state: SoakInput, tail: PassResult, at: datetime) -> SoakInput:
    # A stale row counts as met now even where its own time is unknown or older: quiet starts anew.
    met = at if tail.totals.changed else state.last_stale_write
    return state.model_copy(
        update={
            "cursors": tail.cursors,
            "session_tokens": tail.session_tokens,
            "rewrapped": state.rewrapped + tail.totals.changed,
            "stale_writers": state.stale_writers + tail.totals.stale_writers,
            "last_stale_write": met,
            "ticks": state.ticks + 1,
        }
    )


def _pass(
    ctx: OrchestrationContext, state: SoakInput, operation: str, *, cursors: dict[str, str | None]
) -> Steps[PassResult]:
    share = state.policy.proof_share if operation == "prove" else 1.0
    request = PassInput(
        run=state.run,
        target_version=state.target_version,
        operation=operation,
        policy=state.policy,
        operations_per_second=state.policy.vault_operations_per_second * share,
        sample_share=state.sample_share,
        cursors=cursors,
        session_tokens=state.session_tokens,
    )
    instance_id = f"{ctx.instance_id}:{operation}-{ctx.new_uuid()[:8]}"
    return (yield from call_workflow(ctx, "row_pass", request, PassResult, instance_id=instance_id))
