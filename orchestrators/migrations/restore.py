"""``restore``: make rows readable again that came back from a backup and name versions that are disabled since.

1. Count such rows, freeze the evidence, and wait for the approval of another person than the requester.
2. Enable the versions for the time of the restore, and move the rows onto the current version.
3. Prove every row that was moved.
4. Disable again what was enabled, each version only if no row names it.

However it ends, 4 comes before the end: a version that a row names stays enabled, every other is as it was.
"""

from durabletask.task import TaskFailedError

from keyturn.contracts.migrations import (
    DisableAgainInput,
    DisableAgainResult,
    EnableTemporarilyInput,
    EnableTemporarilyResult,
    RestoreFound,
    RestoreInput,
)
from keyturn.contracts.passes import CensusResult, Moved
from keyturn.contracts.states import State
from orchestrators.calls import AbortedError, StepFailedError, Steps, call, now
from orchestrators.migrations.run import MigrationRun
from orchestrators.run_recorder import Outcome
from orchestrators.waiting import wait_for_decision


def restore(run: MigrationRun) -> Steps[Outcome]:
    """Restore; returns ENDED, or AGAIN, which goes on with the approval that the run has noted, if it has."""
    if run.given.approved_digest is not None:
        return (yield from _restore(run, run.given.approved_digest))
    found = yield from freeze_enablement(run, "freeze_restore")
    if found.evidence_digest is None:
        return (yield from run.complete("no row names a disabled version"))
    described = f"{found.rows} rows name disabled versions: {', '.join(found.versions)}"
    if run.given.dry_run:
        return (yield from run.complete(f"dry run: {described}"))
    return (yield from ask(run, found.evidence_digest, described))


def freeze_enablement(run: MigrationRun, activity: str) -> Steps[RestoreFound]:
    """Freeze what is to be enabled, as the activity finds it."""
    expires = now(run.ctx) + run.given.policy.approval_expiry
    look = RestoreInput(run=run.ref, step=run.step, expires_at=expires)
    return (yield from call(run.ctx, activity, look, RestoreFound))


def ask(run: MigrationRun, digest: str, described: str) -> Steps[Outcome]:
    """Ask for the approval of the frozen evidence; returns AGAIN, which goes on with it, or ENDED."""
    yield from run.advance(State.AWAITING_APPROVAL, described)
    yield from run.notify("approval_wanted", digest)
    decided = yield from wait_for_decision(run, run.given.policy, digest)
    if decided is not Outcome.APPROVED:
        return decided
    run.approved = digest
    return Outcome.AGAIN


def _restore(run: MigrationRun, digest: str) -> Steps[Outcome]:
    request = EnableTemporarilyInput(run=run.ref, evidence_digest=digest)
    try:
        enabled = yield from call(run.ctx, "enable_temporarily", request, EnableTemporarilyResult)
        if enabled.missing:
            return (
                yield from run.wait_for_operator(
                    f"not approved, and named by rows by now: {', '.join(enabled.missing)}"
                )
            )
        why, moved = yield from _move_and_prove(run, enabled)
    except (AbortedError, StepFailedError, TaskFailedError):
        yield from _give_back(run, {})
        raise
    given = yield from _give_back(run, moved.session_tokens)
    if given.kept:
        why = why or f"rows still name {', '.join(given.kept)}: they stay enabled"
    if why:
        return (yield from run.wait_for_operator(why))
    return (yield from run.complete(f"{moved.changed} rows were moved; disabled again: {', '.join(given.disabled)}"))


def _move_and_prove(run: MigrationRun, enabled: EnableTemporarilyResult) -> Steps[tuple[str, Moved]]:
    """Move the rows and prove them; returns why an operator has to look, if so, and what was moved."""

    def left(census: CensusResult) -> int:
        return sum(census.by_version.get(version, 0) for version in enabled.versions)

    moved = yield from run.move("rewrap_chosen", enabled.target_version, left)
    proof = yield from run.row_pass("prove", enabled.target_version, tokens=moved.session_tokens)
    unproven = f"{proof.totals.quarantined} rows were not proven" if proof.totals.quarantined else ""
    return moved.unsettled or unproven, moved


def _give_back(run: MigrationRun, tokens: dict[str, str]) -> Steps[DisableAgainResult]:
    request = DisableAgainInput(run=run.ref, session_tokens=tokens)
    return (yield from call(run.ctx, "disable_again", request, DisableAgainResult))
