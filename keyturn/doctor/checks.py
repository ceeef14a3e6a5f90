"""What the doctor's checks are given, how a list of them is gone through, and what the results mean to the command."""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Self

from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from keyturn.errors import OUTCOMES, WrongStateError
from keyturn.ids import RunKind, instance_id_of, new_run_id
from keyturn.preflight.checks import Item
from keyturn.preflight.context import CheckContext, Facts
from keyturn.preflight.results import CheckResult, Outcome, ok, problem, run_check, unchecked
from keyturn.resources import Resources
from keyturn.runs.records import RotationRecord

# Of the command; what was not checked is not a fault, and with a warning a rotation runs.
EXIT_CODES = {**dict.fromkeys(Outcome, 0), Outcome.PROBLEM: OUTCOMES[WrongStateError].exit_code}
BROKEN = "Keyturn rests on this assumption: tell the developers before you rotate"
SECONDS = 60.0  # of one check: what takes longer hangs
until: ContextVar[float] = ContextVar("until", default=math.inf)  # by time.monotonic(): the examination must have ended


async def ask(check: Callable[[], Awaitable[CheckResult]], right: str = "") -> CheckResult:
    """Run a check in the time that is left for the examination; what is not reached is a problem, not a success."""
    if (left := until.get() - time.monotonic()) <= 0:
        return problem("not looked at: no time was left", "without a limit, in the network: keyturn doctor")
    return await run_check(check, right, seconds=min(SECONDS, left))


@dataclass(frozen=True)
class DoctorContext(CheckContext):
    """One keyring of the deployment: pre-flight's context, with a record that is never stored, and the clients."""

    resources: Resources

    @classmethod
    def of(cls, resources: Resources, name: str, now: Callable[[], datetime]) -> Self:
        """Return the context of a keyring; nothing is asked yet."""
        keyring = resources.keyring(name)
        record = RotationRecord(
            run_id=new_run_id(RunKind.ROTATION, name, now()),
            keyring=name,
            history=[],
            requested_by="keyturn doctor",
            requested_at=now(),
            trigger="cli",
            policy=resources.settings.policy,
            instance_id=instance_id_of(RunKind.ROTATION, name),
            fencing_token=0,
        )
        return cls(
            record=record,
            keyring=keyring,
            settings=resources.settings,
            documents=resources.run_store.documents,
            account=resources.account,
            on_call=None,
            now=now(),
            facts=Facts(keyring),
            resources=resources,
        )


async def check_all[Context: CheckContext](
    items: Mapping[str, Item[Context]], context: Context, before: Iterable[CheckResult] = ()
) -> list[CheckResult]:
    """Run the checks, except those that need a check which ended badly, among these or before."""
    subject = context.keyring.keyring.name
    bad = {result.id for result in before if result.subject in ("", subject) and result.outcome is not Outcome.OK}
    results: list[CheckResult] = []
    for name, item in items.items():
        missing = next((need for need in item.needs if need in bad), None)
        result = await ask(partial(item.run, context), item.right) if missing is None else failed_before(missing)
        if result.outcome is not Outcome.OK:
            bad.add(name)
        results.append(result.named(name, subject))
    return results


def failed_before(missing: str) -> CheckResult:
    """Return the result of what needs a check that failed."""
    return unchecked(f"{missing} failed", f"fix {missing} first")


def expect(found: object, expected: object, what: str) -> CheckResult:
    """Return ok where an assumption holds: what was found is what was expected."""
    return ok(what) if found == expected else problem(f"expected: {what}; found {found!r}", BROKEN)


async def status_of(request: Awaitable[object]) -> tuple[int, int]:
    """Return status and substatus of a request."""
    try:
        await request
    except CosmosBatchOperationError as error:
        return int(error.status_code or 0), 0
    except CosmosHttpResponseError as error:
        return int(error.status_code or 0), int(error.sub_status or 0)
    return int(HTTPStatus.OK), 0


def worst(results: Iterable[CheckResult]) -> Outcome:
    """Return the worst outcome of all results."""
    order = list(Outcome)
    return max((result.outcome for result in results), key=order.index, default=Outcome.OK)
