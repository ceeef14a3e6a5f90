"""``migrate``, ``reencrypt``, ``rollback`` and ``restore``: what they send, where to, and what they write."""

import json
from typing import Any

import pytest

from tests.keyturn.cli.served import serving

MIGRATION = "notes.m.20261124T120000Z.abcdef"
ASKED = {"requestedBy": "dana@example.com", "reason": "", "dryRun": False}
COMMANDS: dict[str, tuple[list[str], str, dict[str, Any]]] = {
    "rewrap": (
        ["migrate", "rewrap-deks", "--new-version", "n", "--old-version", "o"],
        "/api/migrations",
        {"kind": "rewrap-deks", "newVersion": "n", "oldVersion": "o"},
    ),
    "encrypt": (
        ["migrate", "encrypt", "--container", "notes", "--container", "archive", "--dry-run"],
        "/api/migrations",
        {"kind": "encrypt", "containers": ["notes", "archive"], "dryRun": True},
    ),
    "re-encrypt": (
        ["migrate", "re-encrypt", "--target-keyring", "new", "--keyring", "old", "--reason", "leak"],
        "/api/migrations",
        {"kind": "re-encrypt", "targetKeyring": "new", "keyring": "old", "reason": "leak"},
    ),
    "re-encrypt onto a policy": (
        ["migrate", "re-encrypt", "--per", "partition", "--max-documents", "500"],
        "/api/migrations",
        {"kind": "re-encrypt", "keyPolicy": {"per": "partition", "maxDocuments": 500}},
    ),
    "encrypt onto a policy": (
        ["migrate", "encrypt", "--per", "container"],
        "/api/migrations",
        {"kind": "encrypt", "keyPolicy": {"per": "container"}},
    ),
    "check": (["migrate", "decrypt-check"], "/api/migrations", {"kind": "decrypt-check"}),
    "rollback": (
        ["rollback", "notes.20261124T120000Z.abcdef", "--reason", "readers fail"],
        "/api/rotations/notes.20261124T120000Z.abcdef/rollback",
        {"reason": "readers fail"},
    ),
    "restore": (["restore", "--keyring", "notes", "--dry-run"], "/api/restores", {"keyring": "notes", "dryRun": True}),
    "lost MEK": (
        ["reencrypt", "--keyring", "old", "--target-keyring", "new", "--snapshot-reference", "s/1"],
        "/api/reencryptions",
        {"keyring": "old", "targetKeyring": "new", "snapshotReference": "s/1"},
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_migration_is_asked_for(name: str) -> None:
    """The id alone is the result; what was not said is not sent."""
    command, path, body = COMMANDS[name]
    with serving({"migrationId": MIGRATION}, status=202) as app:
        result = app.run(*command)

    assert (result.exit_code, result.stdout) == (0, f"{MIGRATION}\n")
    method, asked, headers, sent = app.asked[0]
    assert {name.lower() for name in headers} >= {"idempotency-key"}
    assert (method, asked, json.loads(sent)) == ("POST", path, {**ASKED, **body})


def test_a_check_that_found_something_is_no_success() -> None:
    """It ends completed, and whoever waits for it is told by the exit code and by how many there are."""
    end = {"state": "completed", "clean": False, "quarantined": {"count": 2, "named": []}}
    with serving(({"migrationId": MIGRATION}, end)) as app:
        started = app.run("migrate", "decrypt-check", "--wait")
        waited = app.run("status", MIGRATION, "--wait", "--field", "state")

    assert [started.exit_code, waited.exit_code] == [73, 73]
    assert f"{MIGRATION} is completed, and 2 rows or documents are quarantined" in started.stderr
    assert waited.stdout == "completed\n"


def test_a_migration_is_waited_for() -> None:
    """Its end is the command's: one that needs attention is no success."""
    with serving(({"migrationId": MIGRATION}, {"state": "running"}, {"state": "needs_attention"})) as app:
        result = app.run("migrate", "decrypt-check", "--wait")

    assert result.exit_code == 73
    assert f"{MIGRATION} is needs_attention" in result.stderr
    assert app.asked[-1][1] == f"/api/migrations/{MIGRATION}"
