"""What a check returns, and how one is run: what it raises becomes its result. The doctor's checks share this."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus

from azure.core.exceptions import AzureError

from field_encrypt.mek_errors import MekError
from keyturn.clock import Clock
from keyturn.errors import KeyturnError, OperatorError, PermissionMissingError, TransientError, UnavailableError
from keyturn.key_vault.errors import keyturn_error

_HEALTH = "look at the service's health, and then again: keyturn doctor"


class Outcome(StrEnum):
    """How a check ended, the best first; pre-flight knows the first and the last only."""

    OK = "ok"
    UNCHECKED = "unchecked"  # it could not be found out, or only people can
    WARNING = "warning"  # a rotation runs, and something is not as it should be
    PROBLEM = "problem"  # a rotation would fail, or rests on something that does not hold


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check saw, and what to do where that is not good. The doctor's JSON is these fields, in this order."""

    id: str
    outcome: Outcome
    detail: str
    advice: str = ""
    subject: str = ""  # tells results of one id apart, as by keyring or URL

    def named(self, check_id: str, subject: str = "") -> "CheckResult":
        """Return the result as that of this check."""
        return replace(self, id=check_id, subject=subject)


def ok(detail: str) -> CheckResult:
    """Return a result that all is well."""
    return CheckResult("", Outcome.OK, detail)


def unchecked(detail: str, advice: str = "") -> CheckResult:
    """Return a result that nothing was found out, and why."""
    return CheckResult("", Outcome.UNCHECKED, detail, advice)


def warning(detail: str, advice: str) -> CheckResult:
    """Return a result that something is not as it should be."""
    return CheckResult("", Outcome.WARNING, detail, advice)


def problem(detail: str, advice: str) -> CheckResult:
    """Return a result that something is wrong; the advice says what to do."""
    return CheckResult("", Outcome.PROBLEM, detail, advice)


async def run_check(
    check: Callable[[], Awaitable[CheckResult]],
    right: str = "",
    *,
    seconds: float,
    waits: Sequence[float] = (),
    clock: Clock | None = None,
) -> CheckResult:
    """Run a check, and again after each of the waits (in seconds) while what it asks does not answer.

    ``right`` is the permission whose absence it finds out; ``seconds`` is the time that all attempts may take together.
    """
    clock = clock or Clock()
    ends = clock.monotonic() + seconds
    for wait in (*waits, None):
        try:
            async with asyncio.timeout(ends - clock.monotonic()):
                return await check()
        except (KeyturnError, MekError, AzureError, OSError) as error:
            failure = _interpret(error, seconds)
        if not isinstance(failure, TransientError):
            break
        if wait is not None:
            await clock.sleep(wait)
    if isinstance(failure, PermissionMissingError):
        granted = f"grant {right} to the identity" if right else "grant the right that is missing"
        return problem(failure.message, f"{granted}; a new assignment takes minutes to arrive")
    if isinstance(failure, TransientError):
        asked = f"asked {len(waits) + 1} times: " if waits else ""
        return problem(f"{asked}{failure.message}", failure.hint or _HEALTH)
    return problem(failure.message, failure.hint or "see the detail")


def _interpret(error: KeyturnError | MekError | AzureError | OSError, seconds: float) -> KeyturnError:
    if isinstance(error, KeyturnError):
        return error
    if isinstance(error, MekError):
        return keyturn_error(error, "use the MEK")
    if isinstance(error, TimeoutError):
        return OperatorError(f"no answer within {seconds:.0f} s", hint=_HEALTH)
    status = getattr(error, "status_code", None)
    if status == HTTPStatus.FORBIDDEN:
        return PermissionMissingError(f"a service refused ({status:d})", resource="Azure")
    return UnavailableError(f"a service did not answer ({status or type(error).__name__})", resource="Azure")
