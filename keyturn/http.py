"""RFC 9457 problem details of every error, and request bodies validated into models.

Facts of an error become extension members. A defect gets a correlation id instead, under which it is logged once.
"""

import logging
import uuid
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from keyturn.contracts.base import read_json
from keyturn.errors import (
    OUTCOMES,
    InvalidRequestError,
    InvariantError,
    KeyturnError,
    Outcome,
    SettingsError,
    TooManyAttemptsError,
    outcome_of,
)

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:keyturn:problem:"
RETRY_AFTER_SECONDS = 5

_log = logging.getLogger(__name__)
_INTERNAL = OUTCOMES[KeyturnError]


class Problem(NamedTuple):
    """A problem as it is answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def problem_of(error: Exception, *, instance: str) -> Problem:
    """Return the problem that the error becomes; ``instance`` is the path of the request."""
    # A setting's value, even its name, is for the log's readers.
    hidden = isinstance(error, InvariantError | SettingsError)
    if not isinstance(error, KeyturnError) or hidden or outcome_of(error) == _INTERNAL:
        return _internal(error, instance)
    outcome = outcome_of(error)
    # Facts first: none of them may take the place of a member that the RFC defines.
    body = {**error.facts, **_members(outcome, error.message, instance)}
    if error.hint:
        body["hint"] = error.hint
    return Problem(outcome.status, body, _retry_after(error, outcome))


def _retry_after(error: KeyturnError, outcome: Outcome) -> dict[str, str]:
    if isinstance(error, TooManyAttemptsError):
        return {"Retry-After": str(error.facts.get("retryAfterSeconds", RETRY_AFTER_SECONDS))}
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if outcome.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def _internal(error: Exception, instance: str) -> Problem:
    correlation_id = uuid.uuid4().hex
    outcome = outcome_of(error) if isinstance(error, KeyturnError) else _INTERNAL
    _log.error("request to %s failed, correlation id %s", instance, correlation_id, exc_info=error)
    detail = "something went wrong on our side; the log has it under the correlation id"
    return Problem(outcome.status, {**_members(outcome, detail, instance), "correlationId": correlation_id}, {})


def problem_of_command(error: KeyturnError) -> dict[str, Any]:
    """Return the problem that the error becomes for the person who runs a command: whole, for there it is their own."""
    outcome = outcome_of(error)
    return {**error.facts, **_members(outcome, error.message), **({"hint": error.hint} if error.hint else {})}


def _members(outcome: Outcome, detail: str, instance: str | None = None) -> dict[str, Any]:
    members = {
        "type": f"{TYPE_PREFIX}{outcome.problem}",
        "title": outcome.problem.replace("-", " ").capitalize(),
        "status": outcome.status,
        "detail": detail,
        **outcome.runbook,
    }
    return members if instance is None else {**members, "instance": instance}


def parse_json(body: bytes) -> object:
    """Return the JSON value of the body, in UTF-8 and no member twice; raises InvalidRequestError."""
    try:
        return read_json(body)
    except (ValueError, RecursionError):  # ValueError also for a number of thousands of digits
        raise InvalidRequestError("the body is not JSON", field="body", expected="a JSON object") from None


def parse[T: BaseModel](model: type[T], value: object) -> T:
    """Return the value as the model; raises InvalidRequestError naming the field and what was expected of it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidRequestError(f"{field}: {first['msg']}", field=field, expected=first["msg"]) from None
