"""Runs the checklist, one check after the other, and stores the results in the run's record.

Pre-flight changes nothing, and stores nothing but the key's backup: a check asks, or asks for something that must be
refused. A service that does not answer is asked again a few times; then the check fails and names it.
"""

from functools import partial

from keyturn.clock import Clock
from keyturn.contracts.base import RunRef
from keyturn.contracts.states import State
from keyturn.contracts.steps import PreflightResult
from keyturn.preflight.checks import ALL_SECONDS, CHECKLIST, waiver_of, waivers_hold
from keyturn.preflight.context import CheckContext
from keyturn.preflight.plan import plan_of
from keyturn.preflight.results import CheckResult, Outcome, problem, run_check
from keyturn.runs.record_parts import Check, Preflight
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import check_live

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts; together longer than the vault's window of 10 s


async def run_preflight(context: CheckContext, clock: Clock | None = None) -> Preflight:
    """Run every check of the checklist, and plan the rotation if the rows could be counted."""
    record, facts, clock = context.record, context.facts, clock or Clock()
    checks = [_stored(record, "waivers", waivers_hold(record))]
    failed: set[str] = set()
    ends = clock.monotonic() + ALL_SECONDS
    for name, item in CHECKLIST.items():
        missing = next((need for need in item.needs if need in failed), None)
        if missing is None:
            check = partial(item.run, context)
            seconds = min(item.seconds, ends - clock.monotonic())
            result = await run_check(check, item.right, seconds=seconds, waits=WAITS, clock=clock)
        else:
            result = problem(f"not checked, because {missing} failed", f"fix {missing} first")
        checks.append(_stored(record, name, result))
        if checks[-1].outcome == "fail":
            failed.add(name)
    return Preflight(at=context.now, checks=checks, plan=plan_of(facts.census, facts.newest_version, record.policy))


async def record_preflight(runs: RotationStore, ref: RunRef, preflight: Preflight) -> PreflightResult:
    """Write the checks and the plan into the record, unless the state has moved on; raises FencedError."""

    def change(record: RotationRecord) -> RotationRecord:
        check_live(record, ref)
        late = record.state is not State.PREFLIGHT and record.preflight is not None
        return record if late else record.changed(preflight=preflight)

    recorded = (await runs.update(ref.run_id, change)).preflight or preflight
    failed = [check.name for check in recorded.checks if check.outcome == "fail"]
    return PreflightResult(passed=not failed, failed_checks=failed)


def _stored(record: RotationRecord, name: str, result: CheckResult) -> Check:
    if result.outcome is Outcome.OK:
        return Check(name=name, outcome="pass", detail=result.detail)
    if (waiver := waiver_of(record, name)) is not None:
        detail = f"{result.detail}; waived by {waiver.by}: {waiver.why}"
        return Check(name=name, outcome="waived", detail=detail, hint=result.advice)
    return Check(name=name, outcome="fail", detail=result.detail, hint=result.advice)
