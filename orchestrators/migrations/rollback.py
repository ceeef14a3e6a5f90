"""``rollback``: move the rows that a rotation rewrapped back to the version that they came from.

Those of unfinished rotations that it adopted are its own here.

1. Classify, changing nothing: rows that are as the rotation left them, rows that were changed since, and rows that
   cannot go back.
2. Fail if no row is the rotation's any more because later runs have changed them; else enable what it had retired,
   which takes the approval of another person than the requester.
3. Move, until a pass moved nothing and the count says that none is left.

The rotation's new version stays enabled: it is the newest, so writers go on creating rows under it.
"""

from keyturn.contracts.base import RunInput
from keyturn.contracts.migrations import ChangedSince, Rollback
from keyturn.contracts.steps import ReinstateInput, ReinstateResult
from keyturn.errors import WrongStateError
from orchestrators.calls import StepFailedError, Steps, call
from orchestrators.migrations.restore import ask, freeze_enablement
from orchestrators.migrations.run import MigrationRun
from orchestrators.run_recorder import Outcome


def rollback(run: MigrationRun, work: Rollback) -> Steps[Outcome]:
    """Roll the rotation back; returns ENDED, or AGAIN."""
    target, run_id = work.new_version, work.rotation.run_id
    checked = (yield from run.row_pass("roll_back", target, dry_run=True)).totals
    census = yield from run.census(target, rewrapped_by=run_id)
    later = (yield from call(run.ctx, "count_changed_since", RunInput(run=run.ref), ChangedSince)).rows
    found = work.found(checked, census, later)
    if run.given.dry_run:
        return (yield from run.complete(f"dry run: {found}"))
    if later and not checked.changed + checked.quarantined:
        how = "move them with rewrap-deks onto the version that you want, enabled"
        raise StepFailedError(
            WrongStateError.__name__, f"nothing is left to roll back: {found}; {how}", recoverable=False
        )
    if work.approval and run.given.approved_digest is None:
        frozen = yield from freeze_enablement(run, "freeze_rollback")
        if frozen.evidence_digest is not None:
            return (yield from ask(run, frozen.evidence_digest, f"{found}; disabled: {', '.join(frozen.versions)}"))
    undo = ReinstateInput(run=run.ref, rotation=work.rotation, reason=f"rolled back by {run.ref.run_id}")
    enabled = yield from call(run.ctx, "reinstate_versions", undo, ReinstateResult)
    if work.approval:
        yield from run.notify("reinstated", ", ".join(enabled.reinstated))
    moved = yield from run.move("roll_back", target, lambda counted: counted.rewrapped, rewrapped_by=run_id)
    if moved.unsettled:
        return (yield from run.wait_for_operator(moved.unsettled))
    return (
        yield from run.complete(f"{found}; {moved.changed} were moved back, {moved.census.on_target} stay on {target}")
    )
