"""``key-backup`` against the app: what it asks, writes and refuses."""

import base64
import hashlib
import stat
from pathlib import Path

from tests.keyturn.cli.served import serving

RUN = "notes.20260101T030000Z.abc123"
BLOB = b"only the vault opens this"
CONTENT = {"rotationId": RUN, "sha256": hashlib.sha256(BLOB).hexdigest(), "blob": base64.b64encode(BLOB).decode()}


def test_backups_are_listed_by_the_app() -> None:
    """A line each, with its rotation and until when it is kept; the keyring is a parameter."""
    backup = {"rotationId": RUN, "phase": "after", "versions": 3, "expiresAt": "2026-12-24T12:00:00Z"}
    with serving({"keyBackups": [backup]}) as app:
        result = app.run("key-backup", "list", "--from-app", "--keyring", "notes")

    assert app.asked[0][:2] == ("GET", "/api/key-backups?keyring=notes")
    assert result.stdout == f"{RUN}  3 versions  after its version was made  until 2026-12-24\n"


def test_a_backup_becomes_a_file_of_its_owner(tmp_path: Path) -> None:
    """It holds what the vault made, and others cannot read it."""
    file = tmp_path / "mek.keybackup"
    with serving(CONTENT) as app:
        result = app.run("key-backup", "download", RUN, str(file))

    assert app.asked[0][:2] == ("POST", f"/api/rotations/{RUN}/key-backup")
    assert file.read_bytes() == BLOB
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert CONTENT["sha256"] in result.stdout
    assert CONTENT["blob"] not in result.stdout


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A file that is there may be the only backup of another rotation."""
    file = tmp_path / "mek.keybackup"
    file.write_text("another")
    with serving(CONTENT) as app:
        result = app.run("key-backup", "download", RUN, str(file))

    assert (result.exit_code, file.read_text()) == (64, "another")
    assert "file: expected a path" in result.stderr


def test_a_backup_that_arrives_changed_is_not_kept(tmp_path: Path) -> None:
    """The hash of what was stored is compared before anything is written."""
    file = tmp_path / "mek.keybackup"
    with serving({**CONTENT, "sha256": "0" * 64}) as app:
        result = app.run("key-backup", "download", RUN, str(file))

    assert result.exit_code == 70
    assert not file.exists()


def test_one_source_is_restored() -> None:
    """A rotation's backup or a file: both are refused before anything is asked."""
    with serving({}) as app:
        result = app.run(
            "key-backup", "restore", RUN, "--file", __file__, "--vault-url", "https://other.vault.azure.net"
        )

    assert (result.exit_code, app.asked) == (64, [])
    assert "not both" in result.stderr
