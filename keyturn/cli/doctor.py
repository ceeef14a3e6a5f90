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
    from keyturn.doctor import Line

_WIDTH = 160  # of a table that is written to a file


def doctor(
    *,
    probe: Annotated[
        bool, typer.Option("--probe", help="try the rest in a throw-away key and container: needs more rights")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print every line as JSON")] = False,
    requirements: Annotated[
        Path | None, typer.Option(help="what is deployed, to compare packages with; the app's, unless given")
    ] = None,
) -> None:
    """Examine the deployment that the app's settings in this environment describe.

    Ends with 0 where nothing is wrong, 1 with warnings, 2 with problems. Changes nothing without --probe. With it, a
    key and a container are made whose names start with keyturn-doctor-; that takes the right to create keys in the
    vault, and containers through Azure Resource Manager. The container is deleted again; the key is left disabled.
    """
    from keyturn.doctor import examine, worst
    from keyturn.doctor.checks import EXIT_CODES
    from keyturn.doctor.run import REQUIREMENTS

    lines = asyncio.run(examine(os.environ, probing=probe, requirements=requirements or REQUIREMENTS))
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        _print(lines)
    raise typer.Exit(EXIT_CODES[worst(lines)])


def _print(lines: "list[Line]") -> None:
    from keyturn.doctor.checks import Outcome
    from keyturn.doctor.run import BY_HAND

    styles = {Outcome.OK: "green", Outcome.UNCHECKED: "dim", Outcome.WARNING: "yellow", Outcome.PROBLEM: "bold red"}
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table("", "what", "of", "found", "to do", show_lines=False, pad_edge=False)
    for line in lines:
        if line.id not in BY_HAND:
            told = f"[{styles[line.outcome]}]{line.outcome}[/]"
            table.add_row(told, line.id, escape(line.subject), escape(line.detail), escape(line.advice))
    console.print(table)
    counted = Counter(line.outcome for line in lines if line.id not in BY_HAND)
    console.print(", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome))
    console.print(f"{len(BY_HAND)} more are for people, as docs/assumptions.md says", style="dim")
