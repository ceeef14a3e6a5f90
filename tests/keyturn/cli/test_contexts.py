"""Named contexts: which app is called and as whom, where nothing else says so; no secret is ever in their file."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.keyturn.cli.served import Served, serving

ROTATION = "notes.20261124T120000Z.abcdef"
HEALTHY = {"status": "ok", "overdue": False, "drift": False}
KEYRINGS = {"keyrings": [{"keyring": "notes"}, {"keyring": "letters"}]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of settings of a user's own."""
    return tmp_path / "config"


def run(app: Served, home: Path, *arguments: str, **environment: str) -> Result:
    """Run a command as a user whose environment says nothing about the app."""
    clean = {"KEYTURN_URL": "", "KEYTURN_FUNCTION_KEY": "", "KEYTURN_BY": "", "XDG_CONFIG_HOME": str(home)}
    return app.run(*arguments, **{**clean, **environment})


def written(home: Path) -> dict[str, Any]:
    """Return what the file of contexts says."""
    return tomllib.loads((home / "keyturn" / "config.toml").read_text())


def log_in(app: Served, home: Path, *more: str, **environment: str) -> Result:
    """Write a context of the app."""
    given = ("--url", f"{app.url}/", "--by", "dana@example.com", "--keyring", "notes", "--function-key-env", "PROD_KEY")
    answers = app.answers
    app.answers = [(200, json.dumps(one).encode(), "application/json") for one in (HEALTHY, KEYRINGS)]
    ended = run(app, home, "login", "prod", *given, *more, **{"PROD_KEY": "the-secret", **environment})
    app.answers = answers
    return ended


def test_a_context_is_what_the_environment_lacks(home: Path) -> None:
    """Address, key, keyring and name come from it, in every later command; the key is named there, and not kept."""
    with serving({"rotationId": ROTATION}) as app:
        ended = log_in(app, home)
        app.asked.clear()
        rotated = run(app, home, "rotate", PROD_KEY="the-secret")

    file = home / "keyturn" / "config.toml"
    [(_, _, headers, body)] = app.asked
    assert (ended.exit_code, rotated.exit_code) == (0, 0), ended.output
    assert "act as dana@example.com" in ended.stdout
    assert "keyrings: notes, letters" in ended.stdout
    assert {"requestedBy": "dana@example.com", "keyring": "notes"}.items() <= json.loads(body).items()
    assert {name.lower(): value for name, value in headers.items()}["x-functions-key"] == "the-secret"
    assert "the-secret" not in file.read_text() + ended.output
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert written(home)["current"] == "prod"


def test_the_environment_and_options_win(home: Path) -> None:
    """An option before a variable, a variable before the context."""
    with serving({"rotationId": ROTATION}) as app:
        log_in(app, home)
        app.asked.clear()
        environment = {"KEYTURN_BY": "olga@example.com", "KEYTURN_FUNCTION_KEY": "another"}
        run(app, home, "rotate", "--keyring", "letters", **environment)

    [(_, _, headers, body)] = app.asked
    assert {"requestedBy": "olga@example.com", "keyring": "letters"}.items() <= json.loads(body).items()
    assert {name.lower(): value for name, value in headers.items()}["x-functions-key"] == "another"


def test_a_contexts_key_goes_to_its_own_app(home: Path) -> None:
    """Where the variable names another app, that one is called, and does not get the context's key."""
    with serving({"state": "sweeping"}) as app, serving({"state": "sweeping"}) as other:
        log_in(app, home)
        app.asked.clear()
        plain = run(app, home, "status", ROTATION, KEYTURN_URL=other.url, PROD_KEY="the-secret")
        named = run(app, home, "--context", "prod", "status", ROTATION, KEYTURN_URL=other.url, PROD_KEY="the-secret")

    assert (plain.exit_code, named.exit_code, app.asked) == (0, 0, [])
    assert not any("x-functions-key" in {name.lower() for name in headers} for _, _, headers, _ in other.asked)
    assert "note: KEYTURN_URL" in named.stderr
    assert "note:" not in plain.stderr


def test_a_keyring_that_must_be_named_is_not_taken_from_a_context(home: Path) -> None:
    """That of a lost MEK."""
    with serving({}) as app:
        log_in(app, home)
        app.asked.clear()
        ended = run(app, home, "reencrypt", "--target-keyring", "letters", "--snapshot-reference", "s", PROD_KEY="k")

    assert (ended.exit_code, app.asked) == (2, [])
    assert "--keyring" in ended.stderr


def test_contexts_are_listed_and_chosen(home: Path) -> None:
    """The last login is used; an option, a variable or --use chooses another."""
    with serving({"state": "sweeping"}) as app, serving({"state": "sweeping"}) as second:
        log_in(app, home)
        run(second, home, "contexts")
        second.answers = [(200, json.dumps(one).encode(), "application/json") for one in (HEALTHY, KEYRINGS, {})]
        run(second, home, "login", "test", "--url", second.url)
        listed = run(app, home, "contexts")
        as_json = run(app, home, "contexts", "--use", "prod", "--json")
        app.asked.clear()
        second.asked.clear()
        run(app, home, "status", ROTATION, PROD_KEY="k")
        run(app, home, "--context", "test", "status", ROTATION)
        run(app, home, "status", ROTATION, KEYTURN_CONTEXT="test")

    lines = listed.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["prod", app.url], ["*", "test"]]
    assert json.loads(as_json.stdout)["current"] == "prod"
    assert (len(app.asked), len(second.asked)) == (1, 2)


@pytest.mark.parametrize("arguments", [("--context", "prdo", "keyrings"), ("contexts", "--use", "prdo")])
def test_an_unknown_context_is_named_with_those_there_are(home: Path, arguments: tuple[str, ...]) -> None:
    """Nothing is called."""
    with serving({}) as app:
        log_in(app, home)
        app.asked.clear()
        ended = run(app, home, *arguments)

    assert (ended.exit_code, app.asked) == (64, [])
    assert ended.stderr == "error: --context prdo: expected a context: prod\n"


def test_login_changes_what_is_given(home: Path) -> None:
    """And leaves the rest as it was."""
    with serving({}) as app:
        log_in(app, home)
        log_in(app, home, "--by", "sam@example.com")

    assert written(home)["contexts"]["prod"] == {
        "url": app.url,
        "keyring": "notes",
        "by": "sam@example.com",
        "function_key_env": "PROD_KEY",
    }


@pytest.mark.parametrize(
    ("status", "answers", "arguments", "code", "said"),
    [
        (401, (b"",), (), 77, "KEYTURN_FUNCTION_KEY"),
        (200, ([1],), (), 70, "is not the app"),
        (200, (HEALTHY, KEYRINGS), ("--keyring", "ntoes"), 66, "the app's are notes, letters"),
        (200, (HEALTHY, KEYRINGS), ("--function-key-env", "NO_SUCH"), 78, "NO_SUCH: expected a function key"),
    ],
)
def test_a_context_that_does_not_work_is_not_written(
    home: Path, status: int, answers: tuple[Any, ...], arguments: tuple[str, ...], code: int, said: str
) -> None:
    """What is wrong is told."""
    with serving(answers, status=status) as app:
        ended = run(app, home, "login", "--url", app.url, *arguments)

    assert ended.exit_code == code
    assert said in ended.stderr
    assert not (home / "keyturn").exists()


def test_login_beside_a_variable_that_would_win_is_refused(home: Path) -> None:
    """The context would never be used."""
    with serving({}) as app:
        ended = run(app, home, "login", "--url", app.url, KEYTURN_URL="https://other.example")

    assert (ended.exit_code, app.asked) == (78, [])
    assert ended.stderr.endswith("hint: unset KEYTURN_URL\n")


def test_a_function_key_in_a_file_that_others_can_read_is_refused(home: Path, tmp_path: Path) -> None:
    """The hint is the command that helps; with it, the key is used."""
    key = tmp_path / "the key"
    key.write_text("the-secret\n")
    key.chmod(0o644)
    with serving((HEALTHY, KEYRINGS)) as app:
        arguments = ("login", "--url", app.url, "--function-key-file", str(key))
        refused = run(app, home, *arguments)
        pasted = ["/bin/sh", "-c", refused.stderr.partition("hint: ")[2]]
        subprocess.run(pasted, check=True)  # noqa: S603 - the hint of our own command
        taken = run(app, home, *arguments)

    assert refused.exit_code == 78
    assert refused.stderr.endswith(f"hint: chmod 600 '{key}'\n")
    assert "the-secret" not in refused.output + taken.output
    assert taken.exit_code == 0
    assert {name.lower(): value for name, value in app.asked[0][2].items()}["x-functions-key"] == "the-secret"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("current = ", "Invalid value"),
        ("current = 3", "current and contexts: expected"),
        ("[contexts.prod]\nurl = 3", "contexts.prod: expected texts"),
        ("[contexts.prod]\nkey = 'a'", "contexts.prod.key: expected one of url, token_scope, keyring"),
    ],
)
def test_a_malformed_file_is_named(home: Path, text: str, said: str) -> None:
    """With its name, and the member that is off."""
    file = home / "keyturn" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with serving({}) as app:
        ended = run(app, home, "status", ROTATION)

    assert (ended.exit_code, app.asked) == (78, [])
    assert str(file) in ended.stderr
    assert said in ended.stderr


@pytest.mark.parametrize("name", ['a "quoted" \\ name', "ä.b", "x y"])
def test_any_name_is_kept(home: Path, name: str) -> None:
    """Whatever can be printed is written as TOML reads it; what cannot be is refused."""
    with serving((HEALTHY, KEYRINGS)) as app:
        run(app, home, "login", name, "--url", app.url)
        app.answers = [(200, json.dumps(one).encode(), "application/json") for one in (HEALTHY, KEYRINGS)]
        refused = run(app, home, "login", "two\nlines", "--url", app.url)

    assert written(home)["contexts"] == {name: {"url": app.url}}
    assert refused.exit_code == 64


@pytest.mark.parametrize(
    ("answered", "url"),
    [
        ("https://app.example/c?token=t", "https://app.example/c?token=t"),
        ("/api/console?token=t", "{app}/api/console?token=t"),
    ],
)
def test_the_console_is_opened_by_a_link(home: Path, answered: str, url: str) -> None:
    """The link alone is written on standard output; whose it is, and how long it is good for, beside it."""
    with serving({"url": answered, "expiresAt": "2026-11-24T12:15:00Z"}, status=201) as app:
        log_in(app, home)
        app.asked.clear()
        ended = run(app, home, "open", ROTATION, PROD_KEY="k")

    [(method, path, _, body)] = app.asked
    assert (method, path) == ("POST", "/api/console/links")
    assert json.loads(body) == {"requestedBy": "dana@example.com", "runId": ROTATION}
    assert (ended.exit_code, ended.stdout) == (0, url.format(app=app.url) + "\n")
    assert "2026-11-24T12:15:00Z" in ended.stderr


def test_where_people_sign_in_the_console_needs_no_link(home: Path) -> None:
    """The browser signs in by itself, so nothing is asked for."""
    with serving({}) as app:
        ended = app.run("open", "a b", KEYTURN_TOKEN_SCOPE="api://x/.default", BROWSER="false")

    assert (ended.exit_code, ended.stdout, app.asked) == (0, f"{app.url}/api/console/runs/a%20b\n", [])
