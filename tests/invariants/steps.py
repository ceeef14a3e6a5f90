"""A run as a list of activities, one after the other, without the workflow: what all kinds of run have in common."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from keyturn.contracts.base import Payload, StepInput
from keyturn.contracts.pages import DEKS, PageInput, PageResult, RangesInput, ScanInput, add_results
from keyturn.contracts.passes import BudgetInput, Phase, ProgressInput
from keyturn.contracts.states import State
from keyturn.runs.record import RunRecord
from orchestrators.operations import OPERATIONS
from tests.invariants.harness import ActivityHarness

Act = Callable[[str, Payload], Awaitable[dict[str, Any]]]
RATE = 1000.0


class Steps:
    """Plays a run; ``act`` runs each activity, as often and as badly as a test likes."""

    def __init__(self, harness: ActivityHarness, record: RunRecord, act: Act | None = None) -> None:
        self.harness = harness
        self.run_id = record.run_id
        self.ref = record.ref
        self.step = 0
        self.target = ""
        self.tokens: dict[str, str] = {}
        self._passes = 0
        self._act = act or harness.act

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run an activity, which must not fail, and return its result."""
        envelope = await self._act(name, request)
        assert "failure" not in envelope, f"{name}: {envelope['failure']}"
        result: dict[str, Any] = envelope["result"]
        return result

    async def advance(self, target: State) -> None:
        """Change the state."""
        self.step += 1
        await self.act("advance", StepInput(run=self.ref, step=self.step, target=target))

    async def pages(self, operation: str, source: str = DEKS) -> list[PageInput]:
        """Scan the source once, as the operation does, and return the pages that were found."""
        found = []
        work = OPERATIONS[operation]
        for feed_range in (await self.act("list_ranges", RangesInput(run=self.ref, source=source)))["ranges"]:
            cursor, drained = None, False
            while not drained:
                request = ScanInput(
                    run=self.ref,
                    target_version=self.target,
                    selection=work.selection,
                    source=source,
                    range=feed_range,
                    cursor=cursor,
                    page_rows=50,
                )
                scanned = await self.act(work.scan, request)
                cursor, drained = scanned["cursor"], scanned["drained"]
                if scanned["refs"]:
                    page = PageInput(
                        run=self.ref,
                        target_version=self.target,
                        source=source,
                        refs=scanned["refs"],
                        operations_per_second=RATE,
                    )
                    found.append(page)
        return found

    async def work(self, operation: str, source: str = DEKS) -> int:
        """Work on everything that a scan finds, and record the progress; returns how much was changed."""
        self._passes += 1
        tokens, totals, started = [self.tokens], PageResult(), datetime.now(UTC)
        await self.act("claim_budget", BudgetInput(run=self.ref, operations_per_second=RATE))
        for page in await self.pages(operation, source):
            worked = PageResult.from_payload(await self.act(OPERATIONS[operation].activity, page))
            totals = add_results(totals, worked)
            tokens.append(worked.session_tokens)
        progress = self.progress(totals, tokens, started, OPERATIONS[operation].phase)
        self.tokens = (await self.act("record_progress", progress))["sessionTokens"]
        return totals.changed

    def progress(
        self, totals: PageResult, tokens: list[dict[str, str]], started: datetime, phase: Phase
    ) -> ProgressInput:
        """Return the input of record_progress after the one wave of a pass."""
        return ProgressInput(
            run=self.ref,
            phase=phase,
            pass_number=self._passes,
            pass_started_at=started,
            wave=1,
            scanned=1,
            totals=totals,
            session_tokens=tokens,
            final=True,
        )
