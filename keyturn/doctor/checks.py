"""What a check answers, and the line that the doctor makes of it.

Asks one check; what it raises is its answer.

What the checks of one keyring work with.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus

from azure.core.exceptions import AzureError

from field_encrypt.mek_errors import MekError
from keyturn.errors import KeyturnError, PermissionMissingError
from keyturn.ids import RunKind, instance_id_of, new_run_id
from keyturn.key_vault.errors import keyturn_error
from keyturn.keyring_clients import KeyringClients
from keyturn.preflight.context import CheckContext, Facts, Finding
from keyturn.resources import Resources
from keyturn.runs.records import RotationRecord


class Outcome(StrEnum):
    """How a line ended, the best first."""

    OK = "ok"
    UNCHECKED = "unchecked"  # it could not be found out, or only people can
    WARNING = "warning"  # a rotation runs, and something is not as it should be
    PROBLEM = "problem"  # a rotation would fail, or rests on something that does not hold


# Of the command; a line that was not checked is nobody's fault.
EXIT_CODES = {Outcome.OK: 0, Outcome.UNCHECKED: 0, Outcome.WARNING: 1, Outcome.PROBLEM: 2}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check saw, and what to do where that is not good."""

    outcome: Outcome
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the doctor's table; ``subject`` tells lines of one id apart, as by keyring or URL."""

    id: str
    outcome: Outcome
    detail: str
    advice: str = ""
    subject: str = ""

    @classmethod
    def of(cls, line_id: str, answer: Answer, subject: str = "") -> "Line":
        """Return the line for an answer."""
        return cls(line_id, answer.outcome, answer.detail, answer.advice, subject)


def ok(detail: str) -> Answer:
    """Return an answer that all is well."""
    return Answer(Outcome.OK, detail)


def unchecked(detail: str, advice: str = "") -> Answer:
    """Return an answer that nothing was found out, and why."""
    return Answer(Outcome.UNCHECKED, detail, advice)


def warning(detail: str, advice: str) -> Answer:
    """Return an answer that something is not as it should be."""
    return Answer(Outcome.WARNING, detail, advice)


def problem(detail: str, advice: str) -> Answer:
    """Return an answer that something is wrong."""
    return Answer(Outcome.PROBLEM, detail, advice)


def expect(found: object, expected: object, what: str, advice: str) -> Answer:
    """Return ok where what was found is what was expected."""
    if found == expected:
        return ok(what)
    return problem(f"expected: {what}; found {found!r}", advice)


def worst(lines: Iterable[Line]) -> Outcome:
    """Return the worst outcome of all lines."""
    order = list(Outcome)
    return max((line.outcome for line in lines), key=order.index, default=Outcome.OK)


ANSWER_SECONDS = 60.0  # what takes longer has met something that hangs
BROKEN = "this is not what Keyturn rests on: tell the developers before you rotate"


async def ask(check: Awaitable[Answer | Finding], right: str = "") -> Answer:
    """Return the check's answer; ``right`` is the permission whose absence it finds out."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await check
    except TimeoutError:
        return problem(f"no answer within {ANSWER_SECONDS:.0f} s", "try again; then look at the service's health")
    except PermissionMissingError as error:
        return problem(error.message, _grant(right))
    except (KeyturnError, MekError) as error:
        known = keyturn_error(error, "use the MEK") if isinstance(error, MekError) else error
        return problem(known.message, known.hint or "see the detail")
    except (AzureError, OSError) as error:
        status = getattr(error, "status_code", None)
        advice = _grant(right) if status == HTTPStatus.FORBIDDEN else "look at the service's health, and try again"
        return problem(f"a service refused or did not answer ({status or type(error).__name__})", advice)
    if isinstance(answer, Finding):
        return Answer(Outcome.OK if answer.ok else Outcome.PROBLEM, answer.detail, answer.hint)
    return answer


def _grant(right: str) -> str:
    granted = f"grant {right} to the identity" if right else "grant the right that is missing"
    return f"{granted}; a new assignment takes minutes to arrive"


WHO = "keyturn doctor"


@dataclass(frozen=True)
class Examined:
    """One keyring of the deployment, with pre-flight's view of it."""

    resources: Resources
    keyring: KeyringClients
    context: CheckContext

    @classmethod
    def of(cls, resources: Resources, name: str, now: Callable[[], datetime]) -> "Examined":
        """Return the patient for a keyring; nothing is asked yet, and the record is never stored."""
        keyring = resources.keyring(name)
        record = RotationRecord(
            run_id=new_run_id(RunKind.ROTATION, name, now()),
            keyring=name,
            history=[],
            requested_by=WHO,
            requested_at=now(),
            trigger="cli",
            policy=resources.settings.policy,
            instance_id=instance_id_of(RunKind.ROTATION, name),
            fencing_token=0,
        )
        context = CheckContext(
            record=record,
            keyring=keyring,
            settings=resources.settings,
            documents=resources.run_store.documents,
            account=resources.account,
            on_call=None,
            now=now(),
            facts=Facts(keyring),
        )
        return cls(resources, keyring, context)


@dataclass(frozen=True, slots=True)
class Look:
    """A check that changes nothing, and the lines without which it would only fail for the same reason."""

    run: Callable[[Examined], Awaitable[Answer]]
    needs: tuple[str, ...]


def unused_name() -> str:
    """Return a name that nothing has."""
    return f"keyturn-doctor-{secrets.token_hex(6)}"
