"""``restore-rows``: what it refuses before it asks anybody."""

import json

import pytest
from typer.testing import CliRunner, Result

from keyturn.cli.__main__ import app
from tests.keyturn.settings.environment import RUNBOOK

DOCUMENTS = json.dumps([{"name": "notes", "fields": ["title"]}])
OTHER = "https://notes-rows.documents.azure.com:443/"


def run(*arguments: str) -> Result:
    """Run the command with the runbook's settings."""
    env: dict[str, str | None] = {**RUNBOOK, "KEYTURN_DOCUMENTS": DOCUMENTS}
    return CliRunner().invoke(app, ["restore-rows", *arguments], env=env)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--from", OTHER, "--ids", "a", "--missing"), "--ids: expected rows by id, or --missing: not both"),
        (("--from", "https://notes.documents.azure.com:443"), "--from: expected the URL of another account"),
        (("--from", "https://NOTES.documents.azure.com/"), "--from: expected the URL of another account"),
        (("--from", "http://notes-rows.documents.azure.com"), "--from: expected the URL of another account"),
        (("--from", OTHER, "--container", "notes"), "--container: expected the dek store"),
        (("--from", OTHER, "--keyring", "files"), "there is no keyring 'files'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], expected: str) -> None:
    """The option is named, with what was expected; no service is asked."""
    ended = run(*arguments)

    assert ended.exit_code in (64, 66)
    assert f"error: {expected}" in ended.stderr


def test_the_source_must_be_said() -> None:
    """Without an account to copy from there is nothing to do."""
    assert run("--dry-run").exit_code == 2
