"""Problem details: every error is answered by RFC 9457, with facts for the caller and nothing about our insides."""

import logging
from typing import Any

import pytest

from keyturn import errors
from keyturn.errors import (
    OUTCOMES,
    InvariantError,
    KeyturnError,
    RotationRunningError,
    SettingsError,
    TooManyAttemptsError,
)
from keyturn.http import problem_of

PATH = "/api/rotations"


def test_a_refusal_is_answered_with_its_facts() -> None:
    """Type, title, status, detail and instance are RFC 9457's; facts and hint are extension members."""
    facts = {"keyring": "k", "rotationId": "r1", "statusUrl": "/api/rotations/r1"}
    error = RotationRunningError("r1 of k is running", hint="see what runs: keyturn status r1", **facts)

    problem = problem_of(error, instance=PATH)

    expected = {
        "type": "urn:keyturn:problem:rotation-running",
        "title": "Rotation running",
        "status": 409,
        "detail": "r1 of k is running",
        "instance": PATH,
        "hint": "see what runs: keyturn status r1",
        "runbook": "MEK_ROTATION.md, Another run has the keyring",
        "keyring": "k",
        "rotationId": "r1",
        "statusUrl": "/api/rotations/r1",
    }
    assert problem == (409, expected, {})


KINDS = sorted(OUTCOMES, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_is_a_problem(kind: type[KeyturnError], caplog: pytest.LogCaptureFixture) -> None:
    """Each class becomes its outcome; those that the log is for tell the caller no detail."""
    problem = problem_of(kind("the vault's inside", secretive="fact"), instance=PATH)

    internal = kind is KeyturnError or issubclass(kind, InvariantError | SettingsError)
    assert (
        problem.status,
        problem.body["type"],
    ) == (OUTCOMES[kind].status, f"urn:keyturn:problem:{OUTCOMES[kind].problem}")
    assert problem.body["status"] == problem.status
    assert internal is ("correlationId" in problem.body)
    assert internal is ("the vault's inside" not in problem.body["detail"])
    assert internal is ("secretive" not in problem.body)
    assert (problem.status in (429, 503)) is ("Retry-After" in problem.headers)
    assert int(internal) == len(caplog.records)


def test_who_tried_too_often_learns_how_long_to_wait() -> None:
    """Retry-After is the time that is left, in seconds."""
    problem = problem_of(TooManyAttemptsError("wait", retryAfterSeconds=123), instance=PATH)

    assert (problem.status, problem.headers["Retry-After"]) == (429, "123")


def test_every_error_class_has_an_outcome_of_its_own() -> None:
    """A new error is not answered by accident: the table lists each class."""
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KeyturnError)}

    assert kinds == set(OUTCOMES)


def test_an_unexpected_error_is_logged_once_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets a correlation id; the log has the exception under it, once."""
    with caplog.at_level(logging.INFO):
        problem = problem_of(ZeroDivisionError("inner thing"), instance=PATH)

    assert (problem.status, problem.body["type"]) == (500, "urn:keyturn:problem:internal")
    assert "inner thing" not in str(problem.body)
    assert [problem.body["correlationId"] in record.getMessage() for record in caplog.records] == [True]
    assert caplog.records[0].exc_info is not None


def test_a_fact_never_takes_the_place_of_a_member() -> None:
    """Facts that are called like RFC 9457's members do not change them."""
    facts: dict[str, Any] = {"status": 200, "type": "x", "title": "x", "detail": "x", "instance": "x"}

    problem = problem_of(errors.WrongStateError("no", **facts), instance=PATH)

    assert (problem.body["status"], problem.body["detail"], problem.body["instance"]) == (409, "no", PATH)
