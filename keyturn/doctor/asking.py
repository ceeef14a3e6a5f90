"""Asks one check; what it raises is its answer."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

from azure.core.exceptions import AzureError

from field_encrypt.mek_errors import MekError
from keyturn.doctor.lines import Answer, Outcome, problem
from keyturn.errors import KeyturnError, PermissionMissingError
from keyturn.key_vault.failures import keyturn_error
from keyturn.preflight.inquiry import Finding

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
