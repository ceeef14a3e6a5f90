"""``audit verify`` on the command line, with no service to ask."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.audit.chain import head_of, link
from keyturn.audit.events import AuditEvent, EvidenceFrozen
from keyturn.runs.record import digest_of
from tests.keyturn.audit.chains import chain, fresh_rotation, lines
from tests.keyturn.cli.served import serving
from tests.keyturn.runs.lifecycle import NOW
from tests.local.services import REPOSITORY

ROTATION = fresh_rotation()
CHAIN = chain(4, ROTATION)
HEAD = str(head_of(CHAIN[-1]))


def verify(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "keyturn.cli", "audit", "verify", str(file), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603 - our own


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of the chain."""
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"\n".join(lines(CHAIN)) + b"\n")
    return file


def test_an_unbroken_chain_is_success(export: Path) -> None:
    """The answer names the rotation, the events and the head."""
    verified = verify(export, "--head", HEAD)

    assert (
        verified.returncode,
        verified.stdout,
        verified.stderr,
    ) == (0, f"{ROTATION}: 4 events, unbroken, head {HEAD}, proven up to event 4\n", "")


def test_without_a_head_the_end_is_not_proven(export: Path) -> None:
    """An exit code of its own: neither success, nor a broken chain; the hint is about the file that was named."""
    export = export.rename(export.with_name("an export.jsonl"))
    verified = verify(export)

    assert verified.returncode == 79
    assert verified.stdout == f"{ROTATION}: 4 events, unbroken, head {HEAD}\n"
    assert "unbroken; its end is not proven" in verified.stderr
    command = verified.stderr.partition("hint: ")[2].partition("\n")[0]
    assert shlex.split(command) == ["keyturn", "audit", "verify", str(export), "--head-from-vault"]


def test_a_broken_chain_is_named(export: Path) -> None:
    """Exit code 65, the line, the event and what is wrong with it."""
    export.write_bytes(b"\n".join(lines([CHAIN[0], *CHAIN[2:]])))

    verified = verify(export)

    assert (verified.returncode, verified.stdout) == (65, "")
    assert "line 2, event 2: dropped" in verified.stderr


@pytest.mark.parametrize(
    ("file", "arguments", "said"),
    [("missing.jsonl", [], "No such file"), (".", [], "Is a directory"), ("audit.jsonl", ["--head", "4"], "head")],
)
def test_what_cannot_be_read_is_the_callers_error(export: Path, file: str, arguments: list[str], said: str) -> None:
    """Exit code 64 and what was expected."""
    verified = verify(export.parent / file, *arguments)

    assert verified.returncode == 64
    assert said in verified.stderr


def test_a_chain_is_exported_as_it_is() -> None:
    """Byte for byte, because its hashes are over bytes; a refusal is an error."""
    exported = b"\n".join(lines(CHAIN)) + b"\n"
    with serving(exported, content_type="application/jsonl") as app:
        result = app.run("audit", "export", ROTATION)
    with serving({"type": "urn:keyturn:problem:unknown-rotation", "detail": "none"}, status=404) as app:
        refused = app.run("audit", "export", ROTATION)

    assert result.stdout_bytes == exported
    assert app.asked[0][1] == f"/api/rotations/{ROTATION}/audit"
    assert (refused.exit_code, refused.stdout) == (66, "")


@pytest.mark.parametrize(
    ("evidence", "exit_code", "said"),
    [
        ({"quarantined": 0}, 79, "as it was frozen"),
        ({"quarantined": 1}, 65, "not what the chain froze last"),
        (None, 64, "report: expected the report of a run with evidence"),
    ],
)
def test_the_evidence_of_a_report_is_hashed_again(
    tmp_path: Path, evidence: dict[str, int] | None, exit_code: int, said: str
) -> None:
    """A chain holds the digest and not the evidence, so a report that was falsified leaves the chain whole."""
    run_id = fresh_rotation()
    frozen = EvidenceFrozen(digest=digest_of({"quarantined": 0}), expires_at=NOW)
    file, report = tmp_path / "audit.jsonl", tmp_path / "report.json"
    file.write_bytes(lines([link(run_id, AuditEvent(key="evidence", at=NOW, data=frozen), None)])[0])
    report.write_text(json.dumps({"record": {"evidence": evidence}}))

    verified = verify(file, "--report", str(report))

    assert (verified.returncode, said in verified.stdout + verified.stderr) == (exit_code, True)
