"""``doctor``: examine a deployment, and say what is wrong and what to do."""

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn import __version__
from keyturn.cli.client import ask
from keyturn.cli.output import AsJson, FromApp, echo
from keyturn.cli.tables import message_lines, show, table, width, wrapped
from keyturn.contracts.characters import visible
from keyturn.errors import InvalidRequestError

if TYPE_CHECKING:
    from keyturn.preflight.results import CheckResult

_INDENT = 9


def doctor(
    *,
    probe: Annotated[
        bool, typer.Option("--probe", help="try the rest in a throw-away key and container: needs more rights")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="the rehearsal of a first deployment: probes, and a report")
    ] = False,
    resource_group: Annotated[str | None, typer.Option(help="of --live: the group that will be thrown away")] = None,
    report: Annotated[Path | None, typer.Option(help="of --live: also write the report into this file")] = None,
    mask: Annotated[bool, typer.Option("--mask", help="of --live: hide names, hosts and ids in the report")] = False,
    from_app: FromApp = False,
    everything: Annotated[bool, typer.Option("--all", help="show what is in order, too")] = False,
    as_json: AsJson = False,
    requirements: Annotated[
        Path | None, typer.Option(help="what is deployed, to compare packages with; the app's, unless given")
    ] = None,
) -> None:
    """Examine the deployment that the app's settings in this environment describe, or the app itself with --from-app.

    Ends with 73 where there is a problem, else with 0: a rotation runs with warnings. Changes nothing without --probe.
    With it, a key and a container are made whose names start with keyturn-doctor-; that takes the right to create keys
    in the vault, and containers through Azure Resource Manager. The container is deleted again; the key is left
    disabled.
    """
    from keyturn.api.operations import DoctorReport
    from keyturn.doctor.checks import EXIT_CODES, worst
    from keyturn.doctor.live import require_throwaway
    from keyturn.doctor.run import REQUIREMENTS, examine

    if from_app and (probe or requirements):
        raise InvalidRequestError.expected(
            "fromApp", "neither --probe nor --requirements beside it", named="--from-app"
        )
    if live:
        require_throwaway(os.environ, resource_group or "")
    answer = ask(lambda api: api.post("/api/doctor", {})) if from_app else {"results": []}
    results = DoctorReport.from_payload(answer).results
    if live or not from_app:
        found = examine(os.environ, probing=probe or live, requirements=requirements or REQUIREMENTS)
        results = [*results, *asyncio.run(found)]
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    elif live:
        _rehearse(results, resource_group or "", report, mask=mask)
    else:
        _print(results, everything=everything)
    raise typer.Exit(EXIT_CODES[worst(results)])


def _rehearse(results: "list[CheckResult]", resource_group: str, file: Path | None, *, mask: bool) -> None:
    from keyturn.doctor.live import mask_of, names_in, report

    python = ".".join(map(str, sys.version_info[:3]))
    about = f"Keyturn {__version__}, Python {python}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    names = [resource_group, *names_in(os.environ), *(result.subject for result in results)]
    text = report(results, resource_group, about, mask_of(names) if mask else str)
    echo(text, whole=True)
    if file is not None:
        file.write_text(text)


def _found(result: "CheckResult") -> str:
    told = f"{result.subject}: {result.detail}" if result.subject else result.detail
    return ". ".join(filter(None, [told, result.advice]))


def _print(results: "list[CheckResult]", *, everything: bool) -> None:
    from keyturn.doctor.live import BY_HAND
    from keyturn.preflight.results import Outcome

    shown = [result for result in results if result.id not in BY_HAND]
    wrong = [result for result in shown if result.outcome in (Outcome.PROBLEM, Outcome.WARNING)]
    if everything:
        rows = ([found.outcome, found.id, _found(found)] for found in shown)
        show(table(("", "what", "found, and what to do"), rows, whole=2))
    for found in [] if everything else sorted(wrong, key=lambda one: one.outcome is Outcome.WARNING):
        about = f"{found.id} of {found.subject}" if found.subject else found.id
        told = wrapped(found.outcome, f"{about}: {found.detail}", _INDENT, 0)
        fix = message_lines(visible(f"{'to do':{_INDENT}}{found.advice}"), width()) if found.advice else []
        for line in [*told, *fix, ""]:
            echo(line, whole=True)
    counted = Counter(found.outcome for found in shown)
    people = f"{len(BY_HAND)} more are for people, as docs/first-deployment.md says"
    summed = ", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome)
    for line in wrapped("", f"{summed}; {people}{'' if everything else '; all of them: keyturn doctor --all'}", 0, 0):
        echo(line)
