"""A command that was obeyed says what happens next: on standard error, beside the value that scripts read."""

import shlex
from typing import Any

import pytest

from keyturn.cli.next_steps import effect_of
from tests.keyturn.cli.served import serving

ROTATION = "notes.20261124T120000Z.abcdef"
MIGRATION = "notes.m.20261124T120000Z.abcdef"
STARTED = {"rotationId": ROTATION, "migrationId": MIGRATION, "state": "requested"}
LOST = ("reencrypt", "--keyring", "a", "--target-keyring", "b", "--snapshot-reference", "s")


@pytest.mark.parametrize(
    ("command", "answer", "run", "said"),
    [
        (("rotate",), STARTED, ROTATION, "asked; pre-flight is next, and after the soak another person decides:"),
        (("rotate", "--dry-run"), STARTED, ROTATION, "asked; it looks, counts and changes nothing:"),
        (("rollback", ROTATION), STARTED, MIGRATION, "asked; rows go back next, after an approval where versions were"),
        (("restore",), STARTED, MIGRATION, "asked; it looks for rows under disabled versions, then another person"),
        (("migrate", "encrypt"), STARTED, MIGRATION, "asked; rows or documents are worked on next:"),
        (LOST, STARTED, MIGRATION, "asked; rows or documents are worked on next:"),
        (("retry", ROTATION), {"state": "needs_attention"}, ROTATION, "retry asked; it goes on with what is left:"),
        (("abort", ROTATION), {"state": "sweeping"}, ROTATION, "abort asked; it ends at the next wave:"),
        (("abort", MIGRATION), {"state": "running"}, MIGRATION, "abort asked; it ends at the next wave:"),
        (("abort", ROTATION), {"state": "preflight"}, ROTATION, "abort asked; it ends after the step under way:"),
        (("abort", ROTATION), {"state": "needs_attention"}, ROTATION, "abort asked; it ends within a minute:"),
        (
            ("reinstate", ROTATION),
            {"state": "watching"},
            ROTATION,
            "reinstatement asked; what it has retired is enabled",
        ),
    ],
)
def test_what_happens_next_is_shown(command: tuple[str, ...], answer: dict[str, Any], run: str, said: str) -> None:
    """With the command that shows it, which can be pasted."""
    with serving(answer) as app:
        result = app.run(*command)

    assert result.exit_code == 0
    assert result.stderr.startswith(said)
    *_, last = result.stderr.splitlines()
    assert shlex.split(last) == ["keyturn", "watch", run]
    assert result.stdout.splitlines() == [answer["state"] if "state" in answer and answer is not STARTED else run]


def test_what_is_enabled_again_at_once_is_named() -> None:
    """A rotation that has ended is taken back in the answer itself: there is nothing to watch."""
    with serving({"state": "completed", "reinstated": ["v1", "v2"]}) as app:
        result = app.run("reinstate", ROTATION)

    assert (result.stdout, result.stderr) == ("completed\n", "reinstated; enabled again: v1, v2\n")


def test_an_id_is_quoted_where_a_shell_would_read_it() -> None:
    """Whatever the app answers."""
    with serving({"state": "sweeping"}) as app:
        result = app.run("abort", "$(reboot)")

    assert result.stderr.splitlines()[-1] == "  keyturn watch '$(reboot)'"


def test_who_waits_sees_what_happened_and_not_what_will() -> None:
    """With --wait the states follow each other."""
    with serving((STARTED, {"state": "sweeping"}, {"state": "completed"})) as app:
        result = app.run("rotate", "--wait")

    assert "asked" not in result.stderr
    assert result.stderr.splitlines()[-1].endswith(": completed")


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (
            {"oldVersions": ["a"], "policy": {"watch": "PT1H"}},
            "the old version is disabled next, then watched for 1 hour",
        ),
        ({"oldVersions": ["a", "b"], "policy": {"watch": "PT0S"}}, "2 old versions are disabled next"),
        ({"versions": {"a": 3}}, "the disabled version is enabled next, until every row has moved"),
        (
            {"versions": {"a": None, "b": None}, "rotationId": ROTATION},
            "2 disabled versions are enabled again next, and the rows go back",
        ),
        (None, "what its evidence names is done next"),
    ],
)
def test_what_approving_does(evidence: dict[str, Any] | None, said: str) -> None:
    """Of a rotation, a restore, a rollback, and of evidence that was not read."""
    assert effect_of(evidence) == said
