"""What the app answers becomes the command's result or its error, with the exit code that belongs to it."""

import json

import pytest

from keyturn.errors import OUTCOMES, InvariantError, KeyturnError, SettingsError, WrongStateError
from keyturn.http import TYPE_PREFIX, problem_of
from keyturn.ids import MIGRATIONS, ROTATIONS, unknown_run
from tests.keyturn.cli.served import serving

ROTATION = "notes.20261124T120000Z.abcdef"
OTHER, MIGRATION = "notes.20261124T120000Z.abcdee", "notes.m.20261125T120000Z.abcdef"
KINDS = sorted(OUTCOMES, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_every_error_of_the_app_has_its_exit_code(kind: type[KeyturnError]) -> None:
    """The error is told on standard error, and nothing is on standard output."""
    problem = problem_of(kind("the detail", hint="the hint", keyring="notes"), instance="/api")
    with serving(problem.body, status=problem.status, content_type="application/problem+json") as app:
        result = app.run("status", ROTATION)

    assert OUTCOMES[kind].exit_code == result.exit_code
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")


def test_a_hint_is_shown() -> None:
    """What to do comes after what is wrong."""
    problem = problem_of(OUTCOMES.__iter__().__next__()("x"), instance="/api").body
    shown = {**problem, "type": "urn:keyturn:problem:wrong-state", "detail": "not now", "hint": "wait"}
    with serving(shown, status=409) as app:
        result = app.run("retry", ROTATION)

    assert result.stderr == "error: not now\nhint: wait\nrunbook: MEK_ROTATION.md, Decide\n"


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (401, b"", 77, "KEYTURN_FUNCTION_KEY"),
        (302, b"", 77, "KEYTURN_TOKEN_SCOPE"),
        (403, b"<html>", 78, "403"),
        (502, b"<html>", 75, "502"),
        (404, b"", 70, "KEYTURN_URL"),
        (200, b"<html>", 70, "KEYTURN_URL"),
    ],
)
def test_an_answer_that_is_not_the_apps_is_named(status: int, body: bytes, code: int, said: str) -> None:
    """The platform in front of the app, or another server, is told apart from the app."""
    with serving(body, status=status) as app:
        result = app.run("status", ROTATION)

    assert result.exit_code == code
    assert said in result.stderr


def test_an_app_that_is_not_there_is_named() -> None:
    """Nobody listens at the address."""
    with serving({}) as app:
        url = app.url
    result = app.run("status", ROTATION, KEYTURN_URL=url)

    assert result.exit_code == 75
    assert "did not answer" in result.stderr


@pytest.mark.parametrize("url", ["", "notes.example", "http://notes.example", "ftp://x"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    """A key is never sent in the clear."""
    with serving({}) as app:
        result = app.run("status", ROTATION, KEYTURN_URL=url)

    assert result.exit_code == 78
    assert "KEYTURN_URL" in result.stderr
    assert app.asked == []


def test_the_key_is_sent_and_never_shown() -> None:
    """It comes from the environment, not from the command line."""
    with serving(b"", status=401) as app:
        result = app.run("status", ROTATION, KEYTURN_FUNCTION_KEY="very-secret")

    _, path, headers, _ = app.asked[0]
    assert path == f"/api/rotations/{ROTATION}"
    assert {name.lower(): value for name, value in headers.items()}["x-functions-key"] == "very-secret"
    assert "very-secret" not in result.output


def test_results_are_plain_text_unless_json_is_asked_for() -> None:
    """One line a member, nothing for null; JSON is the app's own answer; no colours."""
    answer = {"state": "sweeping", "percent": 12.5, "error": None, "counts": {"sweep": {"changed": 3}}, "retired": []}
    with serving(answer) as app:
        plain = app.run("status", ROTATION, "--full", FORCE_COLOR="1", NO_COLOR="1")
        as_json = app.run("status", ROTATION, "--json")
        one = app.run("status", ROTATION, "--field", "counts.sweep.changed")

    assert plain.stdout == "state    sweeping\npercent  12.5\ncounts\n  sweep\n    changed  3\n"
    assert json.loads(as_json.stdout) == answer
    assert one.stdout == "3\n"
    assert "\x1b" not in plain.output


def test_a_member_that_is_not_there_is_named() -> None:
    """The error names the option."""
    with serving({"state": "sweeping"}) as app:
        result = app.run("status", ROTATION, "--field", "nothing.here")

    assert result.exit_code == 64
    assert "--field nothing.here" in result.stderr


@pytest.mark.parametrize("kind", [WrongStateError, SettingsError, InvariantError])
def test_a_problem_is_json_where_json_is_asked_for(kind: type[KeyturnError]) -> None:
    """On standard error, as RFC 9457 has it: with the hint and the facts; the exit code is the same."""
    problem = problem_of(kind("the detail", hint="keyturn keyrings", keyring="notes"), instance="/api").body
    with serving(problem, status=OUTCOMES[kind].status, content_type="application/problem+json") as app:
        result = app.run("keyrings", "--json")
    with serving({}) as app:
        unset = app.run("keyrings", "--json", KEYTURN_URL="nothing")

    shown = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (OUTCOMES[kind].exit_code, "")
    assert shown.keys() >= {"type", "title", "status", "detail"}
    assert {"type": f"{TYPE_PREFIX}{OUTCOMES[kind].problem}", "status": OUTCOMES[kind].status}.items() <= shown.items()
    assert json.loads(unset.stderr)["variable"] == "KEYTURN_URL"


@pytest.mark.parametrize("command", ["status", "report", "watch", "abort", "open"])
def test_an_unknown_run_is_named_with_those_there_are(command: str) -> None:
    """The newest of each kind, of the keyring that the id names, and the one that may be meant."""
    problem = problem_of(unknown_run(ROTATION), instance="/api")
    with serving(({}, {"rotations": [{"rotationId": OTHER}]}, {"migrations": [{"migrationId": MIGRATION}]})) as app:
        app.answers[0] = (problem.status, json.dumps(problem.body).encode(), "application/problem+json")
        result = app.run(command, ROTATION)

    assert (result.exit_code, result.stderr.splitlines()) == (
        66,
        [
            f"error: there is no run '{ROTATION}': expected one of {OTHER}, {MIGRATION}; did you mean {OTHER}?",
            "hint: see what there is: keyturn list",
        ],
    )
    assert [path for _, path, *_ in app.asked[1:]] == [
        f"{path}?keyring=notes&limit=3" for path in (ROTATIONS, MIGRATIONS)
    ]


def test_where_runs_cannot_be_listed_the_refusal_stays() -> None:
    """Also for what is no run's id, which names no keyring."""
    problem = problem_of(unknown_run("nope"), instance="/api")
    with serving(problem.body, status=problem.status, content_type="application/problem+json") as app:
        result = app.run("status", "nope")

    assert (result.exit_code, result.stderr.splitlines()[0]) == (66, "error: there is no such run")


def test_an_unknown_member_is_named_with_those_there_are() -> None:
    """And the one that may be meant."""
    with serving({"state": "completed", "quarantined": {"count": 0}}) as app:
        results = [app.run("status", ROTATION, "--field", field) for field in ("sate", "quarantined.counts", "state.a")]

    assert [(result.exit_code, result.stderr) for result in results] == [
        (64, "error: --field sate: expected a member of the answer, one of quarantined, state; did you mean state?\n"),
        (
            64,
            "error: --field quarantined.counts: expected a member of the answer, one of count; did you mean count?\n",
        ),
        (64, "error: --field state.a: expected a member of the answer, one that exists, and there is none\n"),
    ]
