"""One pass over the dek store, as the app's workflow ``row_pass`` makes it.

Ranges are scanned side by side until a window of pages is found, what the pass may take of the vault is claimed, the
pages are worked on at once, and the progress is recorded, which tells what the next wave may take.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from keyturn import steps
from keyturn.contracts.pages import PageInput, PageResult, RangesInput, RowRef, ScanInput, Selection, add_results
from keyturn.contracts.passes import BudgetInput, Phase, ProgressInput
from keyturn.direct.session import Direct, Progress
from keyturn.errors import AbortRequestedError
from keyturn.resources import Resources
from keyturn.runs.record import RunRecord

BUDGET_WAIT = 2.0  # seconds between two looks at what other runs leave of the vault


class Operation(NamedTuple):
    """Which rows a pass is about, and what is done to a page of them."""

    selection: Selection
    work: Callable[[PageInput, Resources], Awaitable[PageResult]]


OPERATIONS: Mapping[str, Operation] = {
    "rewrap": Operation("stale", steps.rewrap_page),
    "rewrap_chosen": Operation("chosen", steps.rewrap_chosen_page),
    "roll_back": Operation("chosen", steps.roll_back_page),
}


class Pass:
    """One pass of a run; ``start`` is where its progress begins to count: passes and rows before it, rows in all."""

    def __init__(
        self, direct: Direct, record: RunRecord, operation: str, target: str, start: Progress, *, dry_run: bool
    ) -> None:
        self._direct, self._resources = direct, direct.resources
        self._record, self._run, self._policy = record, record.ref, record.policy
        self._operation, self._target, self._dry_run = OPERATIONS[operation], target, dry_run
        self._start = start
        self._began = _after(record, direct.now())
        self._totals = PageResult()
        self._tokens = dict[str, str]()
        self._scanned, self._waves, self._granted = 0, 0, 0.0
        self._cursors = dict[str, str | None]()

    async def run(self, tokens: dict[str, str]) -> tuple[PageResult, dict[str, str]]:
        """Make the pass; returns what it came to, and the session tokens of all writes.

        Raises:
            AbortRequestedError: an operator asked to end the run.
            KeyturnError: of the kind that the failure means; what is moved stays moved.
        """
        self._tokens = tokens
        listed = await self._do(steps.list_ranges, RangesInput(run=self._run))
        self._cursors = dict.fromkeys(listed.ranges)
        while self._cursors:
            pages = await self._collect()
            if pages and not self._granted:
                await self._claim()
            await self._work(pages)
        return self._totals, self._tokens

    async def _do[I, O](self, step: Callable[[I, Resources], Awaitable[O]], request: I) -> O:
        return await self._direct.keep_trying(lambda: step(request, self._resources))

    async def _collect(self) -> list[list[RowRef]]:
        """Scan open ranges until a window of pages is found or every range is read to its end."""
        pages = list[list[RowRef]]()
        while self._cursors and len(pages) < self._policy.window_pages:
            ranges = list(self._cursors)[: self._policy.window_pages]
            found = await _all(self._do(steps.scan_page, self._scan_of(one)) for one in ranges)
            for one, result in zip(ranges, found, strict=True):
                del self._cursors[one]
                if not result.drained:
                    self._cursors[one] = result.cursor  # at the end: ranges take turns
                self._scanned += result.scanned
                if result.refs:
                    pages.append(result.refs)
        return pages

    def _scan_of(self, feed_range: str) -> ScanInput:
        return ScanInput(
            run=self._run,
            target_version=self._target,
            selection=self._operation.selection,
            range=feed_range,
            cursor=self._cursors[feed_range],
            page_rows=self._policy.page_rows,
        )

    async def _claim(self) -> None:
        """Claim what the next wave may take of the vault; where that is nothing yet, wait."""
        request = BudgetInput(run=self._run, operations_per_second=self._policy.vault_operations_per_second)
        while not self._granted:
            claimed = await self._direct.keep_trying(
                lambda: steps.claim_budget(request, self._resources, self._direct.now())
            )
            self._obey(aborted=claimed.aborted)
            self._granted = claimed.operations_per_second
            if not self._granted:
                self._direct.tell("other runs hold the vault's budget: waiting for a part of it")
                await self._direct.clock.sleep(BUDGET_WAIT)

    async def _work(self, pages: list[list[RowRef]]) -> None:
        """Work on the pages at once, record how far the pass has come, and show it."""
        phase: Phase = "check" if self._dry_run else "sweep"
        rows = sum(map(len, pages))
        requests = [
            PageInput(
                run=self._run,
                target_version=self._target,
                dry_run=self._dry_run,
                refs=refs,
                operations_per_second=self._granted * len(refs) / rows,
                pass_started_at=self._began,
            )
            for refs in pages
        ]
        results = await _all(self._do(self._operation.work, request) for request in requests)
        self._totals = add_results(self._totals, *results)
        self._waves += 1
        request = ProgressInput(
            run=self._run,
            phase=phase,
            pass_number=self._start.pass_number,
            pass_started_at=self._began,
            wave=self._waves,
            scanned=self._scanned,
            totals=self._totals,
            session_tokens=[self._tokens, *(result.session_tokens for result in results)],
            final=not self._cursors,
            operations_per_second=self._policy.vault_operations_per_second if self._granted else 0.0,
        )
        recorded = await self._direct.keep_trying(
            lambda: steps.record_progress(request, self._resources, self._direct.now())
        )
        self._tokens, self._granted = recorded.session_tokens, recorded.operations_per_second
        counted = {"done": self._start.done + self._totals.changed, "quarantined": self._totals.quarantined}
        self._direct.tell(self._start._replace(**counted))
        self._obey(aborted=recorded.aborted)

    def _obey(self, *, aborted: bool) -> None:
        if aborted:
            raise AbortRequestedError("an operator asked to end the run", rotationId=self._run.run_id)


def _after(record: RunRecord, now: datetime) -> datetime:
    """Return when the pass begins: later than all that the record knows, whatever clock dated those."""
    known = [progress.started_at for progress in record.progress.values()]
    if record.quarantined.since is not None:
        known.append(record.quarantined.since)
    return max([now, *(at + timedelta(microseconds=1) for at in known)])


async def _all[T](work: Iterable[Awaitable[T]]) -> list[T]:
    """Return the results of all; raises the first failure once none is under way any more."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for result in done:
        if isinstance(result, BaseException):
            raise result
    return [result for result in done if not isinstance(result, BaseException)]
