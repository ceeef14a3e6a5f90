"""What can be filed: runs with their reports and chains, alone or as a bundle of a year, to be verified offline.

A bundle is a ZIP archive: ``manifest.json`` names each run, the head of its chain and every file with its SHA-256;
``<run id>.report.json`` and ``<run id>.audit.jsonl`` are what the app answered, byte for byte.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from keyturn.audit.chain import Head
from keyturn.audit.events import TYPES, EvidenceFrozen, VersionCreated
from keyturn.audit.verify import VerifyResult, verify_chain
from keyturn.cli.client import Api
from keyturn.contracts.base import read_json
from keyturn.errors import BrokenChainError, EvidenceAlteredError, InvalidRequestError
from keyturn.ids import MIGRATIONS, ROTATIONS, run_link
from keyturn.runs.record import digest_of

MANIFEST = "manifest.json"
FORMAT = "keyturn-audit-bundle/1"
PAGE = 50  # runs that the app lists at once
_MEMBER_BYTES_MAX = 64 * 1024 * 1024  # a chain has some thousand events, a report less: more is no bundle of ours


class Filed:
    """The chain of one run, and its report where there is one."""

    def __init__(self, chain: Sequence[bytes], report: bytes | None = None, name: str = "") -> None:
        self.chain = list(chain)
        self.report = report
        self.name = name

    def verify(self, anchor: Head | None = None) -> VerifyResult:
        """Recompute the chain.

        Raises:
            BrokenChainError: names the first broken link.
        """
        verified = verify_chain(self.chain, anchor)
        if (broken := verified.broken) is not None:
            text = f"line {broken.line}, event {broken.sequence}: {broken.problem}: {broken.detail}"
            raise BrokenChainError(text, **broken.to_payload())
        return verified

    def evidence_digest(self) -> str:
        """Return the digest of the report's evidence, hashed again.

        Raises:
            InvalidRequestError: the report is not that of a run with evidence.
            EvidenceAlteredError: the chain froze something else last.
        """
        frozen = [event["data"]["digest"] for event in self._events if event["type"] == TYPES[EvidenceFrozen]]
        try:
            found = digest_of(read_json(self.report or b"")["record"]["evidence"])
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidRequestError.expected("report", "the report of a run with evidence, as JSON") from error
        if found not in frozen[-1:]:
            text = "the report's evidence is not what the chain froze last"
            raise EvidenceAlteredError(text, evidenceDigest=frozen[-1] if frozen else None, found=found)
        return found

    @cached_property
    def _events(self) -> list[dict[str, Any]]:
        return [read_json(line) for line in self.chain]

    @property
    def run_id(self) -> str:
        """The run, as the first event says; of a chain that was verified."""
        return str(self._events[0]["subject"])

    @property
    def version(self) -> str | None:
        """The MEK version that the run made or adopted, as its chain says."""
        made = [event["data"]["version"] for event in self._events if event["type"] == TYPES[VersionCreated]]
        return made[-1] if made else None


async def collect(api: Api, keyring: str | None, year: int) -> tuple[str, dict[str, dict[str, bytes]]]:
    """Return the keyring's name, and of every run that was asked for in that year its files by their names.

    Raises InvalidRequestError where there is none, and whatever the app answers.
    """
    runs: dict[str, dict[str, bytes]] = {}
    named = keyring or ""
    for collection, members in ((ROTATIONS, "rotations"), (MIGRATIONS, "migrations")):
        before: str | None = None
        while True:
            page = await api.get(collection, keyring=keyring, limit=str(PAGE), before=before)
            for run in page[members]:
                run_id = str(run["rotationId" if collection == ROTATIONS else "migrationId"])
                named = run["keyring"]
                if run["requestedAt"].startswith(f"{year:04}-"):
                    runs[run_id] = await run_files(api, run_id)
            before = page["next"]
            if before is None or (page[members] and page[members][-1]["requestedAt"][:4] < f"{year:04}"):
                break
    if not runs:
        raise InvalidRequestError.expected("year", "a year with runs", named="--year")
    return named, runs


async def run_files(api: Api, run_id: str) -> dict[str, bytes]:
    """Return a run's report and its chain, as the app answers them, by the names that a bundle has for them."""
    path = run_link(quote(run_id, safe=""))
    return {
        f"{run_id}.report.json": await api.get_bytes(f"{path}/report"),
        f"{run_id}.audit.jsonl": await api.get_bytes(f"{path}/audit"),
    }


def write_bundle(file: Path, *, keyring: str, year: int, runs: dict[str, dict[str, bytes]]) -> None:
    """Write the archive, with each chain's head; raises BrokenChainError before it files a chain that does not hold.

    Raises InvalidRequestError where the file is there or cannot be written.
    """
    listed = [
        {
            "runId": run_id,
            "head": Filed(files[f"{run_id}.audit.jsonl"].splitlines()).verify().head,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        }
        for run_id, files in sorted(runs.items())
    ]
    manifest = {"format": FORMAT, "keyring": keyring, "year": year, "runs": listed}
    try:
        with file.open("xb") as opened, zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False))
            for files in runs.values():
                for name, content in files.items():
                    archive.writestr(name, content)
    except OSError as error:
        raise InvalidRequestError.expected(
            "output", "a path that can be written and does not exist", named="--output"
        ) from error


def is_bundle(file: Path) -> bool:
    """Tell whether the file is a ZIP archive."""
    return file.is_file() and zipfile.is_zipfile(file)


def read_bundle(file: Path) -> list[Filed]:
    """Return every run of the archive, once every file is what the manifest says and none is beside it.

    Raises:
        BrokenChainError: a file is missing, added, or not what was filed.
        InvalidRequestError: the archive is no bundle.
    """
    with zipfile.ZipFile(file) as archive:
        if any(member.file_size > _MEMBER_BYTES_MAX for member in archive.infolist()):
            raise InvalidRequestError.expected("file", f"members of at most {_MEMBER_BYTES_MAX} bytes", named="FILE")
        try:
            manifest = read_json(archive.read(MANIFEST))
            runs = manifest["runs"]
            hashes = {name: digest for run in runs for name, digest in run["files"].items()}
            known, some = manifest["format"] == FORMAT, bool(runs)
        except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
            raise InvalidRequestError.expected("file", "a bundle with its manifest", named="FILE") from error
        if not known:
            raise InvalidRequestError.expected("file", f"a bundle of the format {FORMAT}", named="FILE")
        if not some:
            raise InvalidRequestError.expected("file", "a bundle with runs: none is written without", named="FILE")
        found = {name: _member(archive, name) for name in archive.namelist() if name != MANIFEST}
    _check_files(hashes, found)
    filed = []
    for run in runs:
        name = str(run["runId"])
        report = found[f"{name}.report.json"]
        # A run that ended before anything was frozen has no evidence to hash.
        evidence = read_json(report)["record"].get("evidence")
        one = Filed(found[f"{name}.audit.jsonl"].splitlines(), report if evidence else None, str(file))
        if one.verify().head != run["head"]:
            raise BrokenChainError(f"{name}: the chain does not end with the head of the manifest", detail=run["head"])
        filed.append(one)
    return filed


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except zipfile.BadZipFile:
        return b""  # its checksum is wrong: so is its hash


def _check_files(hashes: dict[str, str], found: dict[str, bytes]) -> None:
    """Raise BrokenChainError for the first file that is not as the manifest has it."""
    for name in sorted(hashes.keys() | found.keys()):
        if name not in found or name not in hashes:
            problem = "missing from the archive" if name in hashes else "not in the manifest"
        elif hashlib.sha256(found[name]).hexdigest() != hashes[name]:
            problem = "not what was filed"
        else:
            continue
        raise BrokenChainError(f"{name} is {problem}", detail=problem)
