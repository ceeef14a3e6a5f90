"""``verify``: what it asks the app for, and how it ends."""

import json
import re
from typing import Any

import pytest

from keyturn.cli import verification
from tests.keyturn.cli.served import Served, serving

ORPHANS = {"foreign": 0, "shared": 0, "counts": [], "caution": None, "scanned": 1, "tooYoung": 0, "orphans": []}
ANSWER = {"keyring": "notes", "results": [], "opened": 0, "query": "SELECT", "token": None}


def answers(**rows: Any) -> tuple[dict[str, Any], ...]:
    """Return what the app says of each part, and of the documents that name missing DEKs."""
    orphans = {**ORPHANS, "kind": "missing_deks", "token": None}
    return (ANSWER, {**ANSWER, "opened": 3, **rows}, ANSWER, ANSWER, orphans)


def parts_asked(app: Served) -> dict[str, dict[str, Any]]:
    """Return what was asked of each part."""
    return {body["part"]: body for method, _, _, sent in app.asked if method == "POST" and (body := json.loads(sent))}


@pytest.mark.parametrize(
    ("options", "asked"),
    [([], {}), (["--rows", "7"], {"rows": 7}), (["--all"], {"rows": None})],
    ids=["a sample", "so many", "all"],
)
def test_how_many_rows_are_opened_is_told_to_the_app(options: list[str], asked: dict[str, Any]) -> None:
    """All of them is null, and not what is left out: that is the app's own sample."""
    with serving(answers()) as app:
        ended = app.run("verify", *options)

    assert ended.exit_code == 0, ended.output
    assert parts_asked(app)["rows"] == {"part": "rows", **asked}
    assert "pass  rows: 3 opened" in ended.stdout


def test_what_is_not_in_order_names_its_section() -> None:
    """Each finding has its next step; the section is the one on verifying, and not the one on decisions."""
    found = {"id": "row", "subject": "dek-1", "outcome": "problem", "detail": "does not open", "advice": "restore it"}
    with serving(answers(results=[found])) as app:
        ended = app.run("verify")

    assert ended.exit_code == 73
    assert "FAIL  row dek-1: does not open\n      do: restore it\n" in ended.stdout
    assert ended.stderr.endswith("runbook: MEK_ROTATION.md, Verify\n")


@pytest.mark.parametrize("named", [["notes"], ["--keyring", "notes"], ["notes", "--keyring", "notes"]])
def test_a_keyring_is_named_alone_or_as_elsewhere(named: list[str]) -> None:
    """With several keyrings the runbook adds ``--keyring NAME`` to every command."""
    with serving(answers()) as app:
        ended = app.run("verify", *named)

    assert ended.exit_code == 0, ended.output
    assert {path for _, path, _, _ in app.asked} == {"/api/verifications?keyring=notes"}


@pytest.mark.parametrize("command", [["verify"], ["direct", "verify"]])
def test_two_keyrings_are_refused(command: list[str]) -> None:
    """Which one was meant is not guessed, and nothing is asked."""
    with serving(answers()) as app:
        ended = app.run(*command, "notes", "--keyring", "files")

    assert (ended.exit_code, app.asked) == (64, [])
    assert "error: --keyring files: expected the same as the first, notes" in ended.stderr


def test_an_app_that_does_not_answer_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until when it is asked again, and what does it without the app; the same options, to be pasted."""
    monkeypatch.setattr(verification, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(verification, "PATIENCE_SECONDS", 0.2)
    with serving({}) as app:
        gone = app.url
    with serving({}) as app:
        ended = app.run("verify", "my notes", "--rows", "7", KEYTURN_URL=gone)

    first, second = ended.stderr.splitlines()[:2]
    assert ended.exit_code == 75
    assert first.startswith(f"{gone} did not answer")
    assert re.search(r"asking again every 0 s until \d\d:\d\d:\d\d UTC$", first)
    assert second.endswith("without the app: keyturn direct verify 'my notes' --rows 7")
    assert ended.stderr.count("asking again") == 1


def test_what_passes_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that hold the vault's budget leave a share of it within a wave."""
    monkeypatch.setattr(verification, "AGAIN_SECONDS", 0.0)
    with serving(answers()) as app:
        app.answers.insert(0, (503, b"", "text/plain"))
        ended = app.run("verify")

    assert ended.exit_code == 0, ended.output
    assert "the app answered 503: asking again every 0 s until" in ended.stderr
