"""``rewrap-deks``: move rows of the dek store from one version, or from whatever they are on, onto a version.

The row operation is the rotation's own: it skips what is done, so the migration may die anywhere and run again.
"""

from keyturn.contracts.migrations import RewrapDeks
from orchestrators.calls import Steps
from orchestrators.migrations.run import MigrationRun
from orchestrators.run_recorder import Outcome


def rewrap_deks(run: MigrationRun, work: RewrapDeks) -> Steps[Outcome]:
    """Move the rows; returns ENDED, or AGAIN."""
    target = work.new_version
    census = yield from run.census(target)  # says how many rows there are to move
    if run.given.dry_run:
        checked = yield from run.row_pass("rewrap_chosen", target, dry_run=True)
        return (yield from run.complete(work.found(checked.totals, census)))
    moved = yield from run.move("rewrap_chosen", target, work.left)
    if moved.unsettled:
        return (yield from run.wait_for_operator(moved.unsettled))
    return (yield from run.complete(moved.said))
