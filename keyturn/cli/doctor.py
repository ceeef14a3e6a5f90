"""``doctor``: examine a deployment, and say what is wrong and what to do."""

import asyncio
import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from keyturn.preflight.results import CheckResult

_WIDTH = 160  # of a table that is written to a file


def doctor(
    *,
    probe: Annotated[
        bool, typer.Option("--probe", help="try the rest in a throw-away key and container: needs more rights")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print every result as JSON")] = False,
    requirements: Annotated[
        Path | None, typer.Option(help="what is deployed, to compare packages with; the app's, unless given")
    ] = None,
) -> None:
    """Examine the deployment that the app's settings in this environment describe.

    Ends with 0 where nothing is wrong, 1 with warnings, 2 with problems. Changes nothing without --probe. With it, a
    key and a container are made whose names start with keyturn-doctor-; that takes the right to create keys in the
    vault, and containers through Azure Resource Manager. The container is deleted again; the key is left disabled.
    """
    from keyturn.doctor.checks import EXIT_CODES, worst
    from keyturn.doctor.run import REQUIREMENTS, examine

    results = asyncio.run(examine(os.environ, probing=probe, requirements=requirements or REQUIREMENTS))
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        _print(results)
    raise typer.Exit(EXIT_CODES[worst(results)])


def _print(results: "list[CheckResult]") -> None:
    from keyturn.doctor.run import BY_HAND
    from keyturn.preflight.results import Outcome

    styles = {Outcome.OK: "green", Outcome.UNCHECKED: "dim", Outcome.WARNING: "yellow", Outcome.PROBLEM: "bold red"}
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table("", "what", "of", "found", "to do", show_lines=False, pad_edge=False)
    shown = [result for result in results if result.id not in BY_HAND]
    for found in shown:
        styled = f"[{styles[found.outcome]}]{found.outcome}[/]"
        table.add_row(styled, found.id, escape(found.subject), escape(found.detail), escape(found.advice))
    console.print(table)
    counted = Counter(found.outcome for found in shown)
    console.print(", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome))
    console.print(f"{len(BY_HAND)} more are for people, as docs/assumptions.md says", style="dim")
