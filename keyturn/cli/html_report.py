"""A run as one HTML file to be filed.

It loads nothing, prints well, and hashes its own evidence and chain when it is opened.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import rfc8785
from markupsafe import Markup
from pydantic import ValidationError

from keyturn import html
from keyturn.cli.client import ask
from keyturn.cli.filing import Filed, run_files
from keyturn.contracts.base import read_json
from keyturn.errors import InvalidRequestError
from keyturn.ids import RunKind, kind_of
from keyturn.migrations.status import MigrationReport
from keyturn.rotation.status import Report
from keyturn.runs.evidence_summary import findings_of
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord

SCRIPT = Path(html.__file__).with_name("report.js").read_text()
_WIDTH, _HEIGHT = 600, 100  # of a chart, in units of its view box
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


class Chart(NamedTuple):
    """Rows changed over time in one phase."""

    label: str
    points: str
    begin: str
    end: str
    most: str


def file_report(run_id: str, file: Path) -> None:
    """Ask the app for a run's report and chain, and write the file; an error leaves none, and none is written over."""
    files = ask(lambda api: run_files(api, run_id))
    text = html_report(run_id, *files.values())
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        expected = "a path that can be written and does not exist"
        raise InvalidRequestError.expected("html", expected, named="--html") from error


def html_report(run_id: str, report: bytes, chain: bytes) -> str:
    """Return the file: a report and a chain as the app answers them.

    Raises:
        InvalidRequestError: the report is not one of this version of Keyturn.
    """
    model = MigrationReport if kind_of(run_id) is RunKind.MIGRATION else Report
    try:
        record: RunRecord = model.model_validate(read_json(report)).record
    except (ValidationError, ValueError) as error:
        expected = "the report of an app of this version: compare keyturn --version with it"
        raise InvalidRequestError.expected("report", expected) from error
    filed = Filed(chain.splitlines())
    evidence = record.evidence
    preflight = record.preflight if isinstance(record, RotationRecord) else None
    return html.render(
        "report.html",
        record=record,
        policy=_policy(),
        script=Markup(SCRIPT),  # noqa: S704 - our own file, which no value enters
        summary=list(_summary(record, filed)),
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        found=list(findings_of(evidence)) if evidence is not None and record.kind is RunKind.ROTATION else [],
        charts=list(_charts(record)),
        rows=sorted(record.census.by_version.items()) if record.census is not None else [],
        checks=preflight.checks if preflight is not None else [],
        evidence=_ascii(evidence) if evidence is not None else "",
        chain=[_ascii(read_json(line)) for line in filed.chain],
    )


def _policy() -> str:
    # Of a file, the page is the only place for a policy; frame-ancestors is ignored there, and browsers complain of it.
    return f"{html.content_security_policy(script=SCRIPT).partition(' form-action')[0]} form-action 'none'"


def _ascii(content: Any) -> str:
    """Return the canonical JSON with every character escaped that is not ASCII: nothing in it is unseen."""
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], rfc8785.dumps(content).decode())


def _summary(record: RunRecord, filed: Filed) -> Iterator[tuple[str, str]]:
    yield "Ended as", record.state.value.replace("_", " ")
    yield "Keyring", record.keyring
    yield "Requested", f"{record.requested_at:%Y-%m-%d %H:%M:%S} UTC by {record.requested_by}"
    yield "Reason", record.reason or "none was given"
    if isinstance(record, RotationRecord):
        yield "New version", record.target_version or "none was made"
        yield "Retired", ", ".join(record.retired) or "nothing"
        if record.reinstated:
            yield "Enabled again", ", ".join(record.reinstated)
    if record.ended_at is not None:
        yield "Ended", f"{record.ended_at:%Y-%m-%d %H:%M:%S} UTC"
    yield "Evidence digest", record.evidence_digest or "none was frozen"
    yield "Chain", f"{len(filed.chain)} events"


def _charts(record: RunRecord) -> Iterator[Chart]:
    for phase, progress in record.progress.items():
        samples = progress.samples
        if len(samples) < 2:  # noqa: PLR2004 - a line has two ends
            continue
        first, last = samples[0].at, samples[-1].at
        seconds, most = (last - first).total_seconds() or 1.0, max(1, *(one.rows for one in samples))
        points = " ".join(
            f"{_WIDTH * (one.at - first).total_seconds() / seconds:.1f},{20 + _HEIGHT * (1 - one.rows / most):.1f}"
            for one in samples
        )
        yield Chart(f"{phase}: rows changed", points, f"{first:%H:%M:%S}", f"{last:%H:%M:%S}", f"{most:,}")
