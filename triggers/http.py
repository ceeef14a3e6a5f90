"""What every HTTP trigger shares: reading a body, answering JSON, and answering every error as a problem."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import azure.functions as func

from keyturn.contracts.base import Payload
from keyturn.errors import InvalidRequestError
from keyturn.http import CONTENT_TYPE, parse_json, problem_of
from keyturn.runs.store import PAGE_MAX

BODY_BYTES_MAX = 64 * 1024


RETRY_AFTER_SECONDS = 10
_DEFAULT_LIMIT = 20
_LIMITS = frozenset(str(number) for number in range(1, PAGE_MAX + 1))  # as they are written: a number may be endless


async def handle(request: func.HttpRequest, work: Callable[[], Awaitable[func.HttpResponse]]) -> func.HttpResponse:
    """Answer with what the work returns, or with the problem that it raises."""
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - the edge of the app: every failure becomes an answer, and is logged there
        problem = problem_of(error, instance=urlsplit(request.url).path)
    return func.HttpResponse(
        json.dumps(problem.body, default=str),
        status_code=problem.status,
        headers=problem.headers,
        mimetype=CONTENT_TYPE,
    )


def read_body(request: func.HttpRequest) -> bytes:
    """Return the body; raises InvalidRequestError where it is larger than 64 KiB."""
    body: bytes = request.get_body()
    if len(body) > BODY_BYTES_MAX:
        raise InvalidRequestError("the body is too large", field="body", expected=f"at most {BODY_BYTES_MAX} bytes")
    return body


def read_json(request: func.HttpRequest, *, default: object = None) -> object:
    """Return the body as JSON, or the default where there is none; raises InvalidRequestError."""
    body = read_body(request)
    if not body and default is not None:
        return default
    return parse_json(body)


def limit_of(request: func.HttpRequest) -> int:
    """Return how many lines of a list are asked for; raises InvalidRequestError."""
    text: str | None = request.params.get("limit")
    if text is None:
        return _DEFAULT_LIMIT
    if text not in _LIMITS:
        expected = f"a number from 1 to {PAGE_MAX}"
        raise InvalidRequestError(f"limit: expected {expected}", field="limit", expected=expected)
    return int(text)


def json_response(
    payload: Payload | dict[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return a JSON answer."""
    content = payload.to_payload() if isinstance(payload, Payload) else payload
    return func.HttpResponse(
        json.dumps(content), status_code=status, headers=dict(headers or {}), mimetype="application/json"
    )


def sender_of(request: func.HttpRequest) -> str:
    """Return the address that the request came from, as the platform's front end has appended it to what was sent."""
    forwarded: str = request.headers.get("x-forwarded-for") or ""
    address = forwarded.rpartition(",")[2].strip()
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdecimal() and (":" not in host or host.endswith("]")) else address


def read_form(request: func.HttpRequest, fields_max: int) -> dict[str, list[str]]:
    """Return the fields of a form as a browser sends it, each with its values; raises InvalidRequestError."""
    try:
        return parse_qs(
            read_body(request).decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=fields_max
        )
    except ValueError:
        expected = "a form, as a browser sends it"
        raise InvalidRequestError(f"the body is not {expected}", field="body", expected=expected) from None
