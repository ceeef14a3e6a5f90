"""A wait outlives an app that is away, busy or broken, and nothing that will not pass."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from keyturn.cli import waiting
from keyturn.errors import ForbiddenError, InvariantError, UnauthenticatedError, UnavailableError
from keyturn.http import problem_of
from tests.keyturn.cli.served import Served, serving

ROTATION = "notes.20261124T120000Z.abcdef"
SWEEPING, COMPLETED = {"state": "sweeping"}, {"state": "completed"}
AWAY = (503, b"<html>", "text/html")


def ok(body: dict[str, Any]) -> tuple[int, bytes, str]:
    """Return a good answer."""
    return (200, json.dumps(body).encode(), "application/json")


def problem(error: Exception) -> tuple[int, bytes, str]:
    """Return the app's own answer to an error."""
    answered = problem_of(error, instance="/api")
    return (answered.status, json.dumps(answered.body).encode(), "application/problem+json")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that a wait makes between two tries; none of them takes its time."""
    made: list[float] = []
    real = waiting._pause

    def pause(*given: Any) -> float:
        made.append(real(*given))
        return 0.0

    monkeypatch.setattr(waiting, "_pause", pause)
    return made


def wait_over(app: Served, answers: Iterable[tuple[int, bytes, str]]) -> Any:
    """Wait for the run, which answers so."""
    app.answers = list(answers)
    return app.run("status", ROTATION, "--wait", "--field", "state")


@pytest.mark.parametrize(
    "failure",
    [
        AWAY,
        (502, b"", "text/html"),
        (429, b"", "text/html"),
        problem(UnavailableError("the database did not answer")),
        problem(InvariantError("a defect")),
    ],
    ids=["503", "502", "429", "the app's own 503", "a defect"],
)
def test_what_may_pass_is_waited_out(pauses: list[float], failure: tuple[int, bytes, str]) -> None:
    """It is told once, with when it is over; the pauses grow to a minute, and the wait ends as it would have."""
    with serving({}) as app:
        ended = wait_over(app, [ok(SWEEPING), *[failure] * 40, ok(COMPLETED)])

    assert (ended.exit_code, ended.stdout) == (0, "completed\n")
    assert [line.partition(" ")[2] for line in ended.stderr.splitlines() if "answers again" in line] == [
        "the app answers again"
    ]
    assert sum("waiting on" in line for line in ended.stderr.splitlines()) == 1
    assert pauses[0] == 0.05
    assert all(after >= before for before, after in pairwise(pauses))
    assert pauses[-1] == waiting.PAUSE_MAX_SECONDS


def test_a_connection_that_fails_is_waited_out(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens; after as many days as a wait takes at most, it ends with what was wrong."""
    monkeypatch.setattr(waiting, "GIVE_UP_SECONDS", 0.2)
    with serving({}) as app:
        url = app.url

    ended = app.run("status", ROTATION, "--wait", KEYTURN_URL=url)

    assert ended.exit_code == 75
    assert "did not answer" in ended.stderr
    assert len(pauses) > 1


@pytest.mark.parametrize(("asked", "pause"), [("120", 120.0), ("0", 0.05), ("999999", 3600.0), ("soon", 0.05)])
@pytest.mark.parametrize("status", [503, 429])
def test_the_app_says_when_to_come_again(pauses: list[float], status: int, asked: str, pause: float) -> None:
    """Retry-After is kept to, an hour at most; what is none is left out."""
    with serving({}) as app:
        app.retry_after = {status: asked}
        wait_over(app, [(status, b"", "text/html"), ok(COMPLETED)])

    assert pauses == [pause]


def test_a_date_is_a_time_to_come_again(pauses: list[float]) -> None:
    """Retry-After may be a date; one that is over asks for nothing."""
    with serving({}) as app:
        app.retry_after = {503: "Sun, 06 Nov 1994 08:49:37 GMT", 429: "Fri, 06 Nov 2893 08:49:37 GMT"}
        wait_over(app, [AWAY, (429, b"", "text/html"), ok(COMPLETED)])

    assert pauses == [0.05, 3600.0]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ((401, b"", "text/html"), 77),
        ((403, b"", "text/html"), 78),
        ((404, b"", "text/html"), 70),
        (problem(UnauthenticatedError("nobody is signed in")), 77),
        (problem(ForbiddenError("this needs the role Keyturn.Reader")), 77),
    ],
)
def test_what_will_not_pass_ends_a_wait_at_once(
    pauses: list[float], failure: tuple[int, bytes, str], code: int
) -> None:
    """Also after it has begun well."""
    with serving({}) as app:
        ended = wait_over(app, [ok(SWEEPING), failure])

    assert (ended.exit_code, len(app.asked), pauses) == (code, 2, [])


@pytest.mark.parametrize("waits", ["the retry of olga to take effect", "the step under way to end"])
def test_what_a_person_said_is_waited_for(waits: str) -> None:
    """Whoever has just said `retry` or `abort` does not get the state that they have answered back."""
    begun = {"state": "needs_attention", "waitsFor": {"what": waits, "until": None, "person": False}}
    with serving((begun, begun, COMPLETED)) as app:
        ended = app.run("status", ROTATION, "--wait")

    assert (ended.exit_code, len(app.asked)) == (0, 3)


def test_one_look_is_not_repeated() -> None:
    """Without --wait a failure is the command's own."""
    with serving({}) as app:
        app.answers = [AWAY]
        ended = app.run("status", ROTATION)

    assert (ended.exit_code, len(app.asked)) == (75, 1)
