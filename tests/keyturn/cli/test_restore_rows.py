"""``restore-rows``: what it refuses before it asks anybody, and how it ends."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from field_encrypt.row_states import QuarantineReason
from keyturn.cli import restore_rows
from keyturn.cli.__main__ import app
from keyturn.contracts.pages import QuarantinedRow
from keyturn.migrations.restore_rows import Compared
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


LEFT = QuarantinedRow(id="dek-7", reason=QuarantineReason.KEY_CHECK_MISMATCH, mek_version="v1")


@pytest.mark.parametrize(
    ("compared", "code"),
    [
        (Compared(), 0),
        (Compared(retired={"v1"}), 73),
        (Compared(left=[LEFT]), 65),
        (Compared(absent=["dek-8"]), 65),
        (Compared(retired={"v1"}, left=[LEFT]), 65),
    ],
    ids=["all there", "a restore is next", "left", "absent", "left, and a restore"],
)
def test_how_it_ends_is_in_the_table(monkeypatch: pytest.MonkeyPatch, compared: Compared, code: int) -> None:
    """Neither as a command that is wrong ends, nor as an answer of no."""

    async def restored(*_: Any, **__: Any) -> Compared:
        return compared

    monkeypatch.setattr(restore_rows, "_restore", restored)

    assert (run("--from", OTHER).exit_code, run("--from", OTHER, "--json").exit_code) == (code, code)
