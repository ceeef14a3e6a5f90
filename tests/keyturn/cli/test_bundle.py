"""``audit bundle`` and ``audit verify`` of what it wrote: a year of runs in one archive."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from keyturn.audit.chain import head_of, link
from keyturn.audit.events import AuditEvent, EvidenceFrozen
from keyturn.cli.filing import FORMAT, MANIFEST
from keyturn.runs.record import digest_of
from tests.keyturn.audit.chains import chain, lines
from tests.keyturn.cli.served import Served, serving
from tests.keyturn.runs.lifecycle import NOW

DONE, LAST_YEARS, MOVE = (
    "notes.20260301T030000Z.aaaaaa",
    "notes.20251201T030000Z.bbbbbb",
    "notes.m.20260401T030000Z.cccccc",
)
EVIDENCE = {"quarantined": 0}


def chain_of(run_id: str, evidence: dict[str, Any] | None) -> bytes:
    """Return a chain that froze this evidence, if any, as an export has it."""
    events = chain(2, run_id)
    if evidence is not None:
        frozen = EvidenceFrozen(digest=digest_of(evidence), expires_at=NOW)
        events.append(link(run_id, AuditEvent(key="evidence", at=NOW, data=frozen), head_of(events[-1])))
    return b"\n".join(lines(events)) + b"\n"


def listed(run_id: str, member: str) -> dict[str, str]:
    """Return a run as a list has it."""
    at = f"{run_id.split('.')[-2][:4]}-06-01T00:00:00Z"
    return {member: run_id, "keyring": "notes", "requestedAt": at}


ANSWERS = (
    {"rotations": [listed(DONE, "rotationId"), listed(LAST_YEARS, "rotationId")], "next": LAST_YEARS},
    {"record": {"evidence": EVIDENCE}},
    chain_of(DONE, EVIDENCE),
    {"migrations": [listed(MOVE, "migrationId")], "next": None},
    {"record": {"evidence": None}},
    chain_of(MOVE, None),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of two runs; one of the year before is left out, and older ones are not asked for."""
    file = tmp_path / "2026.zip"
    with serving(ANSWERS) as app:
        written = app.run("audit", "bundle", "--year", "2026", "--keyring", "notes", "--output", str(file))
        assert written.exit_code == 0, written.output
        assert len(app.asked) == 4 + 2
    return file


def verify(file: Path, *arguments: str) -> Result:
    """Run the command without a service."""
    return Served(200, b"", "").run("audit", "verify", str(file), *arguments)


def test_every_run_of_the_year_is_filed_and_verified(bundle: Path) -> None:
    """Reports, chains, heads and the hash of each file; its end needs a head from elsewhere."""
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        found = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    result = verify(bundle)

    assert [run["runId"] for run in manifest["runs"]] == [DONE, MOVE]
    assert {**manifest["runs"][0]["files"], **manifest["runs"][1]["files"]} == {
        name: digest for name, digest in found.items() if name != MANIFEST
    }
    assert result.exit_code == 79
    assert f"hint: keyturn audit verify {bundle} --head-from-vault\n" in result.stderr
    assert f"{DONE}: 3 events, unbroken, head {manifest['runs'][0]['head']}" in result.stdout
    assert f"evidence {digest_of(EVIDENCE)}: as it was frozen" in result.stdout
    assert f"{MOVE}: 2 events" in result.stdout


def altered(bundle: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Return a copy of the bundle with other members."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    copy = bundle.with_name("altered.zip")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return copy


def falsified(members: dict[str, bytes]) -> None:
    """Change a report, and the manifest with it."""
    name, forged = f"{DONE}.report.json", json.dumps({"record": {"evidence": {"quarantined": 1}}}).encode()
    before = hashlib.sha256(members[name]).hexdigest().encode()
    members[MANIFEST] = members[MANIFEST].replace(before, hashlib.sha256(forged).hexdigest().encode())
    members[name] = forged


def cut(members: dict[str, bytes]) -> None:
    """Take the last event away, and change the manifest's hash of the file with it."""
    name = f"{MOVE}.audit.jsonl"
    before = hashlib.sha256(members[name]).hexdigest().encode()
    members[name] = members[name].splitlines()[0]
    members[MANIFEST] = members[MANIFEST].replace(before, hashlib.sha256(members[name]).hexdigest().encode())


@pytest.mark.parametrize(
    ("change", "exit_code", "said"),
    [
        (lambda members: members.update({f"{DONE}.report.json": b"{}"}), 65, f"{DONE}.report.json is not what was"),
        (lambda members: members.pop(f"{MOVE}.audit.jsonl"), 65, f"{MOVE}.audit.jsonl is missing"),
        (lambda members: members.update({"more.txt": b""}), 65, "more.txt is not in the manifest"),
        (lambda members: members.pop(MANIFEST), 64, "expected a bundle with its manifest"),
        (lambda members: members.update({MANIFEST: b'{"format": "x", "runs": []}'}), 64, "of the format"),
        (lambda members: members.update({MANIFEST: json.dumps({"format": FORMAT, "runs": []})}), 64, "with runs"),
        (falsified, 65, "not what the chain froze last"),
        (cut, 65, "does not end with the head of the manifest"),
    ],
)
def test_what_was_changed_shows(
    bundle: Path, change: Callable[[dict[str, bytes]], object], exit_code: int, said: str
) -> None:
    """A file, the manifest, or both to fit each other."""
    result = verify(altered(bundle, change))

    assert (result.exit_code, said in result.stderr) == (exit_code, True), result.output


def test_a_chain_that_does_not_hold_is_not_filed(tmp_path: Path) -> None:
    """An archive says that all was well when it was written."""
    broken = b"\n".join(chain_of(MOVE, None).splitlines()[1:])
    file = tmp_path / "2026.zip"
    with serving(({"rotations": [], "next": None}, *ANSWERS[3:5], broken)) as app:
        result = app.run("audit", "bundle", "--year", "2026", "--output", str(file))

    assert (result.exit_code, file.exists()) == (65, False)


def test_a_year_without_runs_and_a_file_that_is_there_are_refused(bundle: Path) -> None:
    """Nothing is written over, and an empty archive would look like a quiet year."""
    empty: tuple[dict[str, Any], ...] = ({"rotations": [], "next": None}, {"migrations": [], "next": None})
    before = bundle.read_bytes()
    with serving(empty) as app:
        nothing = app.run("audit", "bundle", "--year", "2026", "--output", str(bundle.with_name("none.zip")))
    with serving(ANSWERS) as app:
        again = app.run("audit", "bundle", "--year", "2026", "--output", str(bundle))

    assert (nothing.exit_code, again.exit_code, bundle.read_bytes()) == (64, 64, before)
    assert "--year: expected a year with runs" in nothing.stderr
    assert "--output: expected a path" in again.stderr


def test_a_bundle_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of keyring and year, in the folder where it is asked for."""
    monkeypatch.chdir(tmp_path)
    with serving(ANSWERS) as app:
        written = app.run("audit", "bundle", "--year", "2026", "--keyring", "notes")

    assert written.exit_code == 0, written.output
    assert zipfile.is_zipfile(tmp_path / "notes-2026.zip")
