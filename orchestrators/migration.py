"""``migration``: one migration of any kind; what each kind does is in ``orchestrators.migrations``.

What follows a retry or an approval is a generation of its own, so that no wait of an earlier one is left to swallow its
events. A failure that an operator can put right waits for one, any other ends in ``failed``; every row stays readable:
what a kind has to undo, it undoes itself before it lets the failure pass.
"""

from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext, TaskFailedError

from keyturn.contracts.migrations import (
    DecryptCheck,
    Encrypt,
    MigrationInput,
    Reencrypt,
    Restore,
    RestoreRows,
    RewrapDeks,
    Rollback,
)
from keyturn.contracts.states import State
from keyturn.errors import InvariantError
from orchestrators.calls import AbortedError, StepFailedError, Steps
from orchestrators.migrations.documents import decrypt_check, encrypt, reencrypt
from orchestrators.migrations.restore import restore
from orchestrators.migrations.rewrap_deks import rewrap_deks
from orchestrators.migrations.rollback import rollback
from orchestrators.migrations.run import MigrationRun
from orchestrators.run_recorder import Outcome

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def migration(ctx: OrchestrationContext, payload: Any) -> Steps:
    """Run one migration; see the module's text."""
    given = MigrationInput.from_payload(payload)
    run = MigrationRun(ctx, given)
    try:
        yield from run.advance(State.RUNNING)
        if given.round == 1 and not given.dry_run:
            yield from run.notify("started")
        outcome = yield from _work(run, given)
    except AbortedError:
        outcome = yield from run.end(State.ABORTED)
    except (StepFailedError, TaskFailedError) as failure:
        outcome = yield from _after(run, StepFailedError.of(failure))
    if outcome is Outcome.AGAIN:
        again = {
            "step": run.step,
            "round": given.round + 1,
            "commands_seen": run.commands_seen,
            "approved_digest": run.approved,
        }
        ctx.continue_as_new(given.model_copy(update=again).to_payload(), save_events=True)
        return None
    return {"state": run.state}


def _after(run: MigrationRun, failure: StepFailedError) -> Steps[Outcome]:
    """Wait for an operator who can put it right, else end in ``failed``; returns AGAIN, or ENDED."""
    if not failure.recoverable:
        yield from run.fail(failure)
        return Outcome.ENDED
    try:
        return (yield from run.wait_for_operator(f"{failure.error_type}: {failure.message}"))
    except AbortedError:
        return (yield from run.end(State.ABORTED))


def _work(run: MigrationRun, given: MigrationInput) -> Steps[Outcome]:
    """Do what the kind does; returns ENDED, or AGAIN."""
    match given.work:
        case RewrapDeks():
            return (yield from rewrap_deks(run, given.work))
        case Rollback():
            return (yield from rollback(run, given.work))
        case Restore():
            return (yield from restore(run))
        case RestoreRows():
            raise InvariantError("no workflow restores rows from another account", migrationId=given.run.run_id)
        case Encrypt():
            return (yield from encrypt(run, given.work))
        case Reencrypt():
            return (yield from reencrypt(run, given.work))
        case DecryptCheck():
            return (yield from decrypt_check(run, given.work))
