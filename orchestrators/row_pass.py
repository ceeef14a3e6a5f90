"""``row_pass``: one pass over the dek store, or over a container of documents, with one operation of the table.

1. List the source's feed ranges, unless the pass follows the tail from cursors that it was given.
2. Scan the open ranges side by side until a window of pages is found or every range is read to its end.
3. Fan out one page activity a page; what the pass may take of the vault is divided by the rows in each, so that all end
   together and the sum over all workers never exceeds it. It is claimed before the first wave: while other runs hold
   all of the vault's budget, wait until they have given up a part.
4. Record the progress, which tells what the next wave may take; go on with 2, unless an operator asked to end the
   rotation. After a bounded number of activities continue as new, never with one in flight, because a late result would
   reach the next generation.

It does not decide anything about rows: that is the page activity's work.
"""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext

from keyturn.contracts.pages import (
    PageInput,
    PageResult,
    RangesInput,
    RangesResult,
    RowRef,
    ScanInput,
    ScanResult,
    add_results,
)
from keyturn.contracts.passes import (
    BudgetInput,
    BudgetResult,
    PassInput,
    PassResult,
    Phase,
    ProgressInput,
    ProgressResult,
    replaces_quarantined,
)
from orchestrators.calls import Steps, call, call_all, now, sub_workflow
from orchestrators.operations import OPERATIONS

bp = df.Blueprint()

# An activity leaves up to four events in history (scheduled, completed, and the two that bookend a replay). At most
# 1,000 events a generation keep replays short, so it ends at this many activities.
ACTIVITIES_PER_GENERATION = 160
# Between two looks at what other runs leave of the vault; they give a part up with their next wave. A look and the wait
# before it leave as many events as two activities.
BUDGET_WAIT = timedelta(seconds=2)
ACTIVITIES_A_LOOK = 2


@bp.orchestration_trigger(context_name="context")
@sub_workflow
def row_pass(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Make one pass; see the module's text."""
    state = PassInput.from_payload(payload)
    if state.started_at is None:
        state = state.model_copy(update={"started_at": now(ctx)})
    if not state.cursors and not state.drained:
        request = RangesInput(run=state.run, source=state.source)
        listed = yield from call(ctx, "list_ranges", request, RangesResult)
        state = state.model_copy(update={"cursors": dict.fromkeys(listed.ranges)})
    activities, aborted = 1, False
    while state.cursors:
        if activities >= ACTIVITIES_PER_GENERATION:
            ctx.continue_as_new(state.to_payload())
            return None
        found, pages, scans = yield from _collect(ctx, state)
        activities += scans
        while pages and not found.granted:
            if activities >= ACTIVITIES_PER_GENERATION:
                ctx.continue_as_new(state.to_payload())  # and find these pages anew
                return None
            found, aborted = yield from _claim(ctx, found)
            activities += ACTIVITIES_A_LOOK
            if aborted:
                break
        state = found
        if aborted:
            break
        state, aborted = yield from _work(ctx, state, pages)
        activities += len(pages) + 1
        if aborted:
            break
    return PassResult(
        totals=state.totals,
        scanned=state.scanned,
        foreign=state.foreign,
        cursors=state.drained,
        session_tokens=state.session_tokens,
        aborted=aborted,
    ).to_payload()


def _collect(ctx: OrchestrationContext, state: PassInput) -> Steps[tuple[PassInput, list[list[RowRef]], int]]:
    """Scan open ranges until a window of pages is found, every range is drained, or the generation's share is used."""
    window, scan = state.policy.window_pages, OPERATIONS[state.operation].scan
    cursors, drained = dict(state.cursors), dict(state.drained)
    pages: list[list[RowRef]] = []
    scanned, foreign, scans = state.scanned, state.foreign, 0
    while cursors and len(pages) < window and scans < ACTIVITIES_PER_GENERATION // 4:
        ranges = list(cursors)[:window]
        requests = [_scan_of(state, item, cursors[item]) for item in ranges]
        found = yield from call_all(ctx, scan, requests, ScanResult)
        for item, result in zip(ranges, found, strict=True):
            del cursors[item]
            (drained if result.drained else cursors)[item] = result.cursor
            scanned, foreign = scanned + result.scanned, foreign + result.foreign
            if result.refs:
                pages.append(result.refs)
        scans += len(ranges)
    update = {"cursors": cursors, "drained": drained, "scanned": scanned, "foreign": foreign}
    return state.model_copy(update=update), pages, scans


def _scan_of(state: PassInput, feed_range: str, cursor: str | None) -> ScanInput:
    return ScanInput(
        run=state.run,
        target_version=state.target_version,
        selection=OPERATIONS[state.operation].selection,
        source=state.source,
        range=feed_range,
        cursor=cursor,
        page_rows=state.policy.page_rows,
        sample_share=state.sample_share,
    )


def _claim(ctx: OrchestrationContext, state: PassInput) -> Steps[tuple[PassInput, bool]]:
    """Claim what the next wave may take of the vault; where that is nothing yet, wait. Tells whether to stop."""
    request = BudgetInput(run=state.run, operations_per_second=state.operations_per_second)
    claimed = yield from call(ctx, "claim_budget", request, BudgetResult)
    if not claimed.operations_per_second and not claimed.aborted:
        yield ctx.create_timer(BUDGET_WAIT)
    return state.model_copy(update={"granted": claimed.operations_per_second}), claimed.aborted


def _work(ctx: OrchestrationContext, state: PassInput, pages: list[list[RowRef]]) -> Steps[tuple[PassInput, bool]]:
    """Fan out the pages, wait for all, record how far the pass has come, and tell whether it is to stop."""
    operation = OPERATIONS[state.operation]
    phase: Phase = "check" if state.dry_run else operation.phase
    began = state.started_at or now(ctx)  # set in the first generation
    rows = sum(len(refs) for refs in pages)
    requests = [
        PageInput(
            run=state.run,
            target_version=state.target_version,
            source=state.source,
            dry_run=state.dry_run,
            refs=refs,
            operations_per_second=state.granted * len(refs) / rows,
            pass_started_at=began if replaces_quarantined(phase, state.source) else None,
        )
        for refs in pages
    ]
    results = yield from call_all(ctx, operation.activity, requests, PageResult)
    totals = add_results(state.totals, *results)
    recorded = yield from call(
        ctx,
        "record_progress",
        ProgressInput(
            run=state.run,
            phase=phase,
            source=state.source,
            pass_number=state.pass_number,
            pass_started_at=began,
            wave=state.waves + 1,
            scanned=state.scanned,
            totals=totals,
            session_tokens=[state.session_tokens, *(result.session_tokens for result in results)],
            final=not state.cursors,
            operations_per_second=state.operations_per_second if state.granted else 0.0,
        ),
        ProgressResult,
    )
    update = {
        "totals": totals,
        "waves": state.waves + 1,
        "session_tokens": recorded.session_tokens,
        "granted": recorded.operations_per_second,
    }
    return state.model_copy(update=update), recorded.aborted
