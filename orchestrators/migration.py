"""``migration``: one migration, of whatever kind: what each kind does is in ``orchestrators.migrations``.

What follows a retry or an approval is a generation of its own, so that no wait of an earlier one is left to swallow its
events. Any failure ends in ``failed`` with every row readable: what a kind has to undo, it undoes itself before it lets
the failure pass.
"""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext, Task, TaskFailedError

from keyturn.contracts import DecryptCheck, Encrypt, MigrationInput, Reencrypt, Restore, RewrapDeks, Rollback
from keyturn.contracts.states import State
from orchestrators.calls import AbortedError, StepFailedError
from orchestrators.migrations.documents import decrypt_check, encrypt, reencrypt
from orchestrators.migrations.restore import restore
from orchestrators.migrations.rewrap_deks import rewrap_deks
from orchestrators.migrations.rollback import rollback
from orchestrators.migrations.run import MigrationRun

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def migration(ctx: OrchestrationContext, payload: Any) -> Generator[Task[Any], Any, Any]:
    """Run one migration; see the module's text."""
    given = MigrationInput.from_payload(payload)
    run = MigrationRun(ctx, given)
    try:
        yield from run.advance(State.RUNNING)
        if given.round == 1 and not given.dry_run:
            yield from run.notify("started")
        end = yield from _work(run, given)
    except AbortedError:
        end = yield from run.end(State.ABORTED)
    except (StepFailedError, TaskFailedError) as error:
        yield from run.fail(error)
        end = State.FAILED
    if end is None:
        again = {
            "step": run.step,
            "round": given.round + 1,
            "commands_seen": run.commands_seen,
            "approved_digest": run.approved,
        }
        ctx.continue_as_new(given.model_copy(update=again).to_payload(), save_events=True)
        return None
    return {"state": end}


def _work(run: MigrationRun, given: MigrationInput) -> Generator[Task[Any], Any, State | None]:
    """Do what the kind does; returns the end, or None to go round again."""
    match given.work:
        case RewrapDeks():
            return (yield from rewrap_deks(run, given.work))
        case Rollback():
            return (yield from rollback(run, given.work))
        case Restore():
            return (yield from restore(run))
        case Encrypt():
            return (yield from encrypt(run, given.work))
        case Reencrypt():
            return (yield from reencrypt(run, given.work))
        case DecryptCheck():
            return (yield from decrypt_check(run, given.work))
