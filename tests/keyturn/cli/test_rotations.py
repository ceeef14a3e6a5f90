"""Commands for rotations: what they send, what they wait for, and how they end."""

import json

import pytest

from tests.keyturn.cli.served import serving

ROTATION = "notes.20261124T120000Z.abcdef"
MIGRATION = "notes.m.20261124T120000Z.abcdef"
DIGEST = "a" * 64


def test_a_rotation_is_asked_for_with_everything_that_was_said() -> None:
    """The id alone is the result; the same request is not made twice by a repeated call."""
    with serving({"rotationId": ROTATION}, status=202) as app:
        result = app.run(
            *("rotate", "--keyring", "notes", "--reason", "monthly", "--dry-run", "--force", "incident"),
            *("--waive", "backup=restored yesterday", "--snapshot-reference", "s/1"),
        )

    method, path, headers, body = app.asked[0]
    assert (result.exit_code, result.stdout) == (0, f"{ROTATION}\n")
    assert (method, path) == ("POST", "/api/rotations")
    assert {name.lower() for name in headers} >= {"idempotency-key"}
    assert json.loads(body) == {
        "keyring": "notes",
        "requestedBy": "dana@example.com",
        "reason": "monthly",
        "dryRun": True,
        "snapshotReference": "s/1",
        "force": {"reason": "incident"},
        "waivers": [{"check": "backup", "why": "restored yesterday"}],
    }


def test_a_waiver_without_a_reason_is_refused() -> None:
    """The app is not asked."""
    with serving({}) as app:
        result = app.run("rotate", "--waive", "backup")

    assert (result.exit_code, app.asked) == (64, [])
    assert "CHECK=WHY" in result.stderr


def test_waiting_tells_why_and_what_to_do_next() -> None:
    """The line of a state carries its detail; whoever waited for evidence gets the command that decides on it."""
    asked = {"state": "awaiting_approval", "decision": None, "evidenceDigest": DIGEST}
    with serving(({"state": "sweeping", "detail": "approval void"}, asked)) as app:
        result = app.run("status", ROTATION, "--wait")

    assert result.stderr.splitlines() == [
        f"{ROTATION}: sweeping: approval void",
        f"{ROTATION}: awaiting_approval",
        f"decide: keyturn approve {ROTATION} \\",
        f"  --digest {DIGEST}",
    ]


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({"state": "completed"}, 0),
        ({"state": "awaiting_approval", "decision": None}, 0),
        ({"state": "failed"}, 73),
        ({"state": "blocked", "failedChecks": ["backup"]}, 73),
        ({"state": "needs_attention"}, 73),
    ],
)
def test_waiting_ends_where_a_person_is_needed(last: dict[str, object], code: int) -> None:
    """States on the way go to standard error; a decision that was taken is waited for."""
    way = ({"state": "sweeping"}, {"state": "awaiting_approval", "decision": {"by": "sam"}}, last)
    with serving(way) as app:
        result = app.run("status", ROTATION, "--wait", "--field", "state")

    assert (result.exit_code, result.stdout) == (code, f"{last['state']}\n")
    assert f"{ROTATION}: sweeping" in result.stderr
    assert len(app.asked) == 3


def test_a_migration_is_found_by_its_id() -> None:
    """One command for both kinds of runs."""
    with serving({"state": "running"}) as app:
        app.run("status", MIGRATION)
        app.run("abort", MIGRATION)
        app.run("report", MIGRATION)

    found = [(method, path) for method, path, _, _ in app.asked]
    assert found == [
        ("GET", f"/api/migrations/{MIGRATION}"),
        ("POST", f"/api/migrations/{MIGRATION}/abort"),
        ("GET", f"/api/migrations/{MIGRATION}/report"),
    ]


def test_a_retirement_is_taken_back() -> None:
    """The order names who gives it; the state is what is written."""
    with serving({"state": "completed"}, status=202) as app:
        result = app.run("reinstate", ROTATION)

    [(method, path, _, body)] = app.asked
    assert (method, path) == ("POST", f"/api/rotations/{ROTATION}/reinstate")
    assert json.loads(body) == {"requestedBy": "dana@example.com"}
    assert (result.exit_code, result.stdout) == (0, "completed\n")


@pytest.mark.parametrize("command", ["report", "abort", "retry"])
def test_an_empty_id_is_the_callers_mistake(command: str) -> None:
    """As where a script's variable was empty: nothing is asked of the app."""
    with serving({}) as app:
        result = app.run(command, "")

    assert (result.exit_code, app.asked) == (64, [])
    assert "run: expected an id" in result.stderr
