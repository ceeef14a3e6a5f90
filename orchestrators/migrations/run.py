"""One run of the ``migration`` workflow: its recorder, and the steps that all kinds of migration are made of."""

from collections.abc import Callable
from datetime import timedelta

from durabletask.task import OrchestrationContext

from keyturn.contracts.migrations import MigrationInput
from keyturn.contracts.pages import DEKS
from keyturn.contracts.passes import PASSES_MAX, CensusInput, CensusResult, Moved, PassInput, PassResult
from keyturn.contracts.states import State
from orchestrators.calls import AbortedError, Steps, call, call_workflow
from orchestrators.run_recorder import Outcome, RunRecorder
from orchestrators.waiting import wait_for_operator


class MigrationRun(RunRecorder):
    """The recorder of a migration, and its steps."""

    def __init__(self, ctx: OrchestrationContext, given: MigrationInput) -> None:
        super().__init__(ctx, given)
        self.given = given
        self.approved: str | None = None  # the evidence with whose approval the next generation goes on
        self._passes = 0

    def row_pass(
        self,
        operation: str,
        target: str = "",
        *,
        source: str = DEKS,
        dry_run: bool = False,
        tokens: dict[str, str] | None = None,
    ) -> Steps[PassResult]:
        """Make one pass over the source with an operation of the table; raises AbortedError where asked to end."""
        self._passes += 1
        request = PassInput(
            run=self.ref,
            target_version=target,
            operation=operation,
            source=source,
            dry_run=dry_run,
            policy=self.given.policy,
            operations_per_second=self.given.policy.vault_operations_per_second,
            session_tokens=tokens or {},
            pass_number=self._passes,
        )
        # The token: sub-workflows of a workflow that was lost may live on.
        instance_id = f"{self.ref.run_id}:{self.ref.fencing_token}.{self.given.round}:p{self._passes}"
        done = yield from call_workflow(self.ctx, "row_pass", request, PassResult, instance_id=instance_id)
        if done.aborted:
            raise AbortedError
        return done

    def census(
        self, target: str, tokens: dict[str, str] | None = None, *, rewrapped_by: str | None = None
    ) -> Steps[CensusResult]:
        """Count every row of the dek store, never older than the session tokens."""
        request = CensusInput(
            run=self.ref, target_version=target, session_tokens=tokens or {}, rewrapped_by=rewrapped_by
        )
        return (yield from call(self.ctx, "take_census", request, CensusResult))

    def move(
        self, operation: str, target: str, left: Callable[[CensusResult], int], *, rewrapped_by: str | None = None
    ) -> Steps[Moved]:
        """Make passes until one changed nothing and what the census says is left is what was quarantined."""
        changed, tokens = 0, dict[str, str]()
        for number in range(1, PASSES_MAX + 1):
            done = yield from self.row_pass(operation, target, tokens=tokens)
            changed, tokens = changed + done.totals.changed, done.session_tokens
            census = yield from self.census(target, tokens, rewrapped_by=rewrapped_by)
            remaining = left(census)
            if done.totals.changed == 0 and remaining <= done.totals.quarantined:
                break
            if number > 1:  # the second pass follows at once; from then on a writer keeps writing
                yield self.ctx.create_timer(min(timedelta(seconds=2**number), self.given.policy.tail_interval))
        return Moved(changed, done.totals.quarantined, remaining, census, tokens)

    def complete(self, detail: str = "") -> Steps[Outcome]:
        """End in ``completed``; returns ENDED."""
        return (yield from self.end(State.COMPLETED, detail))

    def end(self, state: State, detail: str = "", event: str | None = None) -> Steps[Outcome]:
        """Enter an end; unless it is a dry run's, send its notification or the one given; returns ENDED."""
        yield from self.advance(state, detail)
        if not self.given.dry_run:
            yield from self.notify(event or state.value, detail)
        return Outcome.ENDED

    def wait_for_operator(self, reason: str) -> Steps[Outcome]:
        """Wait in needs_attention until an operator asks for another try, or for the end; returns AGAIN, or ENDED."""
        return (yield from wait_for_operator(self, reason))
