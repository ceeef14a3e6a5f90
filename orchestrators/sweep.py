"""``sweep``: passes over the store until a whole pass moved nothing and the census says that nothing is left.

The census carries the session token merged from every write of the sweep, so it is never older than they are. Writers
that are not ours may go on creating rows under an old version: each pass finds them, the wait between passes grows, and
after a bounded number of passes the sweep gives up and says so.
"""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext

from keyturn.contracts.pages import PageResult, add_results
from keyturn.contracts.passes import CensusInput, CensusResult, PassInput, PassResult, SweepInput, SweepResult
from orchestrators.calls import Steps, call, call_workflow, sub_workflow

bp = df.Blueprint()

# Passes before the sweep gives up; with waits growing to the tail interval that is hours of writers that never settle.
PASSES_MAX = 40


@bp.orchestration_trigger(context_name="context")
@sub_workflow
def sweep(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Sweep to a fixpoint; see the module's text."""
    given = SweepInput.from_payload(payload)
    ref = given.run
    totals, tokens, settled = PageResult(), given.session_tokens, False
    number = 0
    while True:
        number += 1
        done = yield from _pass(ctx, given, number, tokens)
        totals, tokens = add_results(totals, done.totals), done.session_tokens
        census = yield from call(
            ctx,
            "take_census",
            CensusInput(run=ref, target_version=given.target_version, session_tokens=tokens),
            CensusResult,
        )
        # A malformed row may carry the target's label: quarantined, yet not stale. One quarantined row is enough to
        # keep everything from being retired, whatever the census says.
        whole = not done.aborted and done.totals.changed == 0
        settled = whole and census.stale <= done.totals.quarantined
        if settled or done.aborted or number >= PASSES_MAX:
            break
        # The second pass follows at once: it usually finds nothing. From then on a writer keeps writing.
        if number > 1:
            yield ctx.create_timer(min(timedelta(seconds=2 ** (number - 1)), given.policy.tail_interval))
    return SweepResult(
        settled=settled,
        census=census,
        rewrapped=totals.changed,
        quarantined=done.totals.quarantined,
        stale_writers=totals.stale_writers,
        last_stale_write=totals.last_stale_write,
        cursors=done.cursors,
        session_tokens=tokens,
        passes=number,
        aborted=done.aborted,
    ).to_payload()


def _pass(ctx: OrchestrationContext, given: SweepInput, number: int, tokens: dict[str, str]) -> Steps[PassResult]:
    request = PassInput(
        run=given.run,
        target_version=given.target_version,
        operation="rewrap",
        policy=given.policy,
        operations_per_second=given.policy.vault_operations_per_second,
        session_tokens=tokens,
        pass_number=number,
    )
    return (yield from call_workflow(ctx, "row_pass", request, PassResult, instance_id=f"{ctx.instance_id}:p{number}"))
