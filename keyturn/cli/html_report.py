"""A run as one HTML file to be filed.

It loads nothing, prints well, and hashes its own evidence and chain when it is opened.
"""

from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup
from pydantic import ValidationError

from keyturn import html
from keyturn.cli.client import ask
from keyturn.cli.filing import run_files
from keyturn.cli.output import echo
from keyturn.console.charts import moment
from keyturn.console.run_page import run_page
from keyturn.contracts.base import read_json
from keyturn.errors import InvalidRequestError
from keyturn.ids import RunKind, kind_of
from keyturn.migrations.status import MigrationReport
from keyturn.rotation.status import Report
from keyturn.runs.record import RunRecord

SCRIPT = html.script("report")


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
    echo(f"{file}: {run_id}. It verifies itself when a browser opens it, and loads nothing.", err=True)


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
    lines, now = chain.splitlines(), datetime.now(UTC)
    return html.render(
        "report.html",
        page=run_page(record, lines, None, now),
        visitor=None,
        policy=_policy(),
        script=Markup(SCRIPT),  # noqa: S704 - our own files, which no value enters
        made_at=moment(now),
        chain=[_line(line) for line in lines],
    )


def _policy() -> str:
    # Of a file, the page is the only place for a policy; frame-ancestors is ignored there, and browsers complain of it.
    return f"{html.content_security_policy(SCRIPT).partition(' form-action')[0]} form-action 'none'"


def _line(line: bytes) -> str:
    """Return the event; a line that is none stands as it is, and does not verify."""
    try:
        return html.canonical_text(read_json(line))
    except (ValueError, RecursionError):
        return line.decode("ascii", errors="backslashreplace")
