"""Goes through the checklist, one check after the other, and writes down what came of it.

Pre-flight changes nothing, and stores nothing but the key's backup: a check asks, or asks for something that must be
refused. What does not answer is asked
again a few times; then the check fails and says what did not answer.
"""

import asyncio
from datetime import datetime

from azure.core.exceptions import AzureError

from field_encrypt.mek_errors import MekError
from keyturn.clock import Clock, SystemClock
from keyturn.contracts import PreflightResult, RunRef
from keyturn.contracts.states import State
from keyturn.cosmos.account import CosmosAccount
from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import KeyturnError, OperatorError, PermissionMissingError, TransientError, UnavailableError
from keyturn.key_vault.errors import keyturn_error
from keyturn.keyring_clients import KeyringClients
from keyturn.preflight.checks import CHECKLIST, Item, waiver_of, waivers_hold
from keyturn.preflight.context import CheckContext, Facts, Finding, OnCall, bad
from keyturn.preflight.plan import plan_of
from keyturn.runs.record_parts import Check, Preflight
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import check_token
from keyturn.settings import Settings

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts; together longer than the vault's window of 10 s
ANSWER_SECONDS = 300.0  # a check that takes longer than counting a very large store has met something that hangs


async def run_preflight(
    record: RotationRecord,
    keyring: KeyringClients,
    *,
    settings: Settings,
    documents: StateContainer,
    account: CosmosAccount | None,
    on_call: OnCall | None,
    now: datetime,
    clock: Clock | None = None,
) -> Preflight:
    """Run every check of the checklist, and plan the rotation if the rows could be counted.

    ``documents`` is the container ``keyturn``; ``account`` and ``on_call`` are None where none is configured.
    """
    facts = Facts(keyring)
    context = CheckContext(record, keyring, settings, documents, account, on_call, now, facts)
    checks = [_concluded(record, "waivers", waivers_hold(record))]
    failed: set[str] = set()
    for name, item in CHECKLIST.items():
        missing = next((need for need in item.needs if need in failed), None)
        if missing is None:
            finding = await _find(item, context, clock or SystemClock())
        else:
            finding = bad(f"not checked, because {missing} failed", f"mend {missing} first")
        checks.append(_concluded(record, name, finding))
        if checks[-1].outcome == "fail":
            failed.add(name)
    return Preflight(at=now, checks=checks, plan=plan_of(facts.census, facts.newest_version, record.policy))


async def record_preflight(runs: RotationStore, ref: RunRef, preflight: Preflight) -> PreflightResult:
    """Write the checks and the plan into the run's record; a late repetition changes nothing that was gone by.

    Raises:
        FencedError: the run is not the one that this is about.
    """

    def change(record: RotationRecord) -> RotationRecord:
        check_token(record, ref)
        late = record.state is not State.PREFLIGHT and record.preflight is not None
        return record if late else record.changed(preflight=preflight)

    recorded = (await runs.update(ref.run_id, change)).preflight or preflight
    failed = [check.name for check in recorded.checks if check.outcome == "fail"]
    return PreflightResult(passed=not failed, failed_checks=failed)


async def _find(item: Item, context: CheckContext, clock: Clock) -> Finding:
    """Run one check, again while what it asks does not answer; a failure is a finding."""
    attempt = 0
    while True:
        try:
            return await _attempt(item, context)
        except TransientError as error:
            if attempt == len(WAITS):
                return bad(f"asked {attempt + 1} times: {error.message}", error.hint or "start again when it answers")
        except PermissionMissingError as error:
            granted = f"grant {item.right} to the app's identity" if item.right else "grant the right that is missing"
            return bad(error.message, f"{granted}; a new assignment takes minutes to arrive")
        except KeyturnError as error:
            return bad(error.message, error.hint or "see the detail")
        await clock.sleep(WAITS[attempt])
        attempt += 1


async def _attempt(item: Item, context: CheckContext) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await item.run(context)
    except TimeoutError as error:
        raise OperatorError(f"no answer within {ANSWER_SECONDS:.0f} s", hint="start again when it answers") from error
    except MekError as error:
        raise keyturn_error(error, "use the MEK") from error
    except (AzureError, OSError) as error:
        raise UnavailableError(f"a service did not answer ({type(error).__name__})", resource="Azure") from error


def _concluded(record: RotationRecord, name: str, finding: Finding) -> Check:
    if finding.ok:
        return Check(name=name, outcome="pass", detail=finding.detail)
    if (waiver := waiver_of(record, name)) is not None:
        detail = f"{finding.detail}; waived by {waiver.by}: {waiver.why}"
        return Check(name=name, outcome="waived", detail=detail, hint=finding.hint)
    return Check(name=name, outcome="fail", detail=finding.detail, hint=finding.hint)
