"""What HTTP triggers share: bodies in, JSON and problems out; and where the triggers answer."""

import json
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from keyturn.errors import InvalidRequestError, UnknownRotationError
from tests.triggers.registered import triggers_of
from triggers import api_description, approval_page, approvals, health, rotations, schedule
from triggers.http import BODY_BYTES_MAX, handle, json_response, limit_of, read_body, read_json, sender_of


def request_of(body: bytes = b"", **headers: str) -> func.HttpRequest:
    """Return a request to the API."""
    url = "https://app.example/api/rotations?code=secret"
    return func.HttpRequest(
        "POST", url, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body
    )


async def test_an_error_is_answered_as_a_problem_without_the_key_of_the_request() -> None:
    """The instance is the request's path; the function key in its query is not repeated."""

    async def work() -> func.HttpResponse:
        raise UnknownRotationError("there is no such rotation", rotationId="r")

    answer = await handle(request_of(), work)

    problem = json.loads(answer.get_body())
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert (
        problem["instance"],
        problem["type"],
        problem["rotationId"],
    ) == ("/api/rotations", "urn:keyturn:problem:unknown-rotation", "r")
    assert b"secret" not in answer.get_body()


async def test_an_unexpected_error_is_answered_without_its_text() -> None:
    """Any exception becomes a problem with a correlation id."""

    async def work() -> func.HttpResponse:
        raise ZeroDivisionError("inner thing")

    answer = await handle(request_of(), work)

    assert answer.status_code == 500
    assert b"inner thing" not in answer.get_body()
    assert json.loads(answer.get_body())["correlationId"]


async def test_what_the_work_answers_is_answered() -> None:
    """Status, headers and JSON go out as they are."""

    async def work() -> func.HttpResponse:
        return json_response({"a": "ü"}, status=202, headers={"Location": "/x"})

    answer = await handle(request_of(), work)

    assert (answer.status_code, answer.mimetype, answer.headers["Location"]) == (202, "application/json", "/x")
    assert json.loads(answer.get_body()) == {"a": "ü"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff", b"[" * 60_000, b"1" * 5_000),
        *(b'{"a": 1, "b": 2, "a": 3}', b'[{"a": {"b": 1, "b": 1}}]'),
        *('{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-32-le"), b'\xef\xbb\xbf{"a": 1}'),
        *(b'{"a": NaN}', b"[-Infinity]"),
    ],
    ids=[
        *("empty", "cut", "no text", "too deep", "too long a number", "a member twice", "a member twice inside"),
        *("UTF-16", "UTF-32", "a byte order mark", "no number", "no number either"),
    ],
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    """The error names the body and what was expected."""
    with pytest.raises(InvalidRequestError) as raised:
        read_json(request_of(body))

    assert raised.value.facts == {"field": "body", "expected": "a JSON object"}


def test_a_body_may_be_left_out_where_there_is_a_default() -> None:
    """Only an empty body takes the default."""
    assert read_json(request_of(), default={}) == {}
    assert read_json(request_of(b'{"a": 1}'), default={}) == {"a": 1}


def test_a_body_has_a_bound() -> None:
    """64 KiB are read, a byte more is refused."""
    assert len(read_body(request_of(b"x" * BODY_BYTES_MAX))) == BODY_BYTES_MAX
    with pytest.raises(InvalidRequestError):
        read_body(request_of(b"x" * (BODY_BYTES_MAX + 1)))


def listing(limit: str) -> func.HttpRequest:
    """Return a request for a list of so many lines."""
    return func.HttpRequest("GET", "https://app.example/api/rotations", params={"limit": limit}, body=b"")


@pytest.mark.parametrize(
    "limit", ["0", "51", "-1", "1.5", "", " 5", "050", "\u0665", "\u00b2", "9" * 5_000], ids=lambda text: text[:9]
)
def test_a_limit_is_a_number_from_1_to_50(limit: str) -> None:
    """Anything else is refused by name, however many digits it has."""
    assert [limit_of(listing(right)) for right in ("1", "9", "50")] == [1, 9, 50]
    with pytest.raises(InvalidRequestError) as raised:
        limit_of(listing(limit))

    assert raised.value.facts["field"] == "limit"


@pytest.mark.parametrize(
    ("forwarded", "sender"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("10.0.0.1, 203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
        ("2001:db8::1", "2001:db8::1"),
        ("", ""),
    ],
)
def test_the_sender_is_whom_the_front_end_has_seen(forwarded: str, sender: str) -> None:
    """What callers send in X-Forwarded-For themselves stands before the address that the platform appends."""
    assert sender_of(request_of(X_Forwarded_For=forwarded)) == sender


def test_triggers_answer_where_they_are_documented() -> None:
    """Names, routes, methods and auth levels are the API: none of them changes by accident."""
    app = df.DFApp()
    for part in (rotations, approvals, approval_page, api_description, schedule, health):
        app.register_functions(part.bp)

    found: dict[str, Any] = {}
    for name, trigger in triggers_of(app).items():
        if trigger["type"] == "httpTrigger":
            methods = [method.value for method in trigger["methods"]]
            found[name] = (*methods, trigger["route"], trigger["authLevel"].value)
        elif trigger["type"] == "timerTrigger":
            found[name] = trigger["schedule"]

    assert found == {
        "start_rotation": ("POST", "rotations", "function"),
        "list_rotations": ("GET", "rotations", "function"),
        "get_rotation": ("GET", "rotations/{rotation_id}", "function"),
        "get_report": ("GET", "rotations/{rotation_id}/report", "function"),
        "retry_rotation": ("POST", "rotations/{rotation_id}/retry", "function"),
        "abort_rotation": ("POST", "rotations/{rotation_id}/abort", "function"),
        "reinstate_rotation": ("POST", "rotations/{rotation_id}/reinstate", "function"),
        "decide_rotation": ("POST", "approvals", "anonymous"),
        "show_approval": ("GET", "rotations/{rotation_id}/approval", "anonymous"),
        "decide_approval": ("POST", "rotations/{rotation_id}/approval", "anonymous"),
        "show_restore_approval": ("GET", "migrations/{rotation_id}/approval", "anonymous"),
        "decide_restore_approval": ("POST", "migrations/{rotation_id}/approval", "anonymous"),
        "describe_api": ("GET", "openapi.json", "function"),
        "health": ("GET", "health", "anonymous"),
        "start_due_rotations": "%SCHEDULE_TICK%",
    }
