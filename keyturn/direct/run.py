"""A run that this process works on, step after step; it may die anywhere.

The next process takes the run over with a greater fencing token, and finds in place what is moved.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

from keyturn import steps
from keyturn.contracts.base import StepInput
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import PASSES_MAX, CensusInput, CensusResult, Moved
from keyturn.contracts.states import State
from keyturn.contracts.steps import ReinstateInput
from keyturn.direct.passes import Pass
from keyturn.direct.session import Direct, Progress
from keyturn.runs.record import RunRecord

NAME = "keyturn direct"  # begins the detail of every state change that was made here


class DirectRun:
    """One run, which holds its keyring."""

    def __init__(self, direct: Direct, record: RunRecord) -> None:
        self.direct, self.resources, self.record = direct, direct.resources, record
        self._progress = Progress(0, 0, 0, 0)

    async def advance(self, target: State, detail: str = "") -> None:
        """Change the run's state; raises AbortRequestedError where an operator asked to end it instead."""
        said = signed(self.direct, detail)
        request = StepInput(run=self.record.ref, step=self.record.step + 1, target=target, detail=said)
        self.record = await self.direct.keep_trying(lambda: steps.advance(request, self.resources, self.direct.now()))

    async def reinstate(self, reason: str) -> None:
        """Withdraw the rotation's retirement and enable what it disabled, twice: a late request may be on its way."""
        request = ReinstateInput(run=self.record.ref, reason=reason, step=self.record.step)
        for wait in (self.record.policy.creation_settle, timedelta(0)):
            await self.direct.keep_trying(lambda: steps.reinstate_versions(request, self.resources, self.direct.now()))
            await self.direct.clock.sleep(wait.total_seconds())

    async def census(
        self, target: str, tokens: Mapping[str, str] | None = None, *, rewrapped_by: str | None = None
    ) -> CensusResult:
        """Count every row of the dek store, never older than the session tokens."""
        request = CensusInput(
            run=self.record.ref, target_version=target, session_tokens=dict(tokens or {}), rewrapped_by=rewrapped_by
        )
        return await self.direct.keep_trying(lambda: steps.take_census(request, self.resources))

    async def row_pass(
        self, operation: str, target: str, tokens: dict[str, str] | None = None, *, dry_run: bool = False
    ) -> tuple[PageResult, dict[str, str]]:
        """Make one pass, as :meth:`Pass.run` does."""
        start = self._progress = self._progress._replace(pass_number=self._progress.pass_number + 1, quarantined=0)
        # Its progress counts from what the record knows by now.
        record = await self.direct.keep_trying(lambda: self.resources.every_run.read(self.record.run_id))
        try:
            return await Pass(self.direct, record, operation, target, start, dry_run=dry_run).run(tokens or {})
        except asyncio.CancelledError:  # Ctrl-C: other runs need not wait until the claim expires
            await steps.give_back(record, self.resources, self.direct.now())
            raise

    async def move(
        self, operation: str, target: str, left: Callable[[CensusResult], int], *, rewrapped_by: str | None = None
    ) -> Moved:
        """Make passes until one changed nothing and what the census says is left is what was quarantined."""
        census = await self.census(target, rewrapped_by=rewrapped_by)
        self._progress = self._progress._replace(total=left(census))
        self.direct.tell(f"{self.record.run_id}: {left(census)} rows are to be moved")
        changed, tokens = 0, dict[str, str]()
        for number in range(1, PASSES_MAX + 1):
            totals, tokens = await self.row_pass(operation, target, tokens)
            changed += totals.changed
            self._progress = self._progress._replace(done=changed)
            census = await self.census(target, tokens, rewrapped_by=rewrapped_by)
            if totals.changed == 0 and left(census) <= totals.quarantined:
                break
            if number > 1:  # the second pass follows at once; from then on a writer keeps writing
                wait = min(timedelta(seconds=2**number), self.record.policy.tail_interval)
                await self.direct.clock.sleep(wait.total_seconds())
        return Moved(changed, totals.quarantined, left(census), census, tokens)


def signed(direct: Direct, detail: str = "") -> str:
    """Return the detail of a state change, with who made it and how."""
    return f"{NAME}, {direct.operator.name}{': ' if detail else ''}{detail}"
