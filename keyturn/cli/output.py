"""Output, exit codes and secrets of every command.

Results go to standard output, plain or as JSON; a failure goes to standard error with the exit code of its error. A
secret comes from a file or the environment, never from the command line, which other users can read.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, override

import typer
from typer.core import TyperGroup

from keyturn.cli.tables import error_lines
from keyturn.contracts.characters import visible, visible_lines
from keyturn.errors import InvalidRequestError, KeyturnError, SettingsError, outcome_of

_JSON = "keyturn.json"


class Commands(TyperGroup):
    """Ends a command that fails with its error's own exit code."""

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyturnError as error:
            _tell(error, as_json=bool(ctx.meta.get(_JSON)))
            raise typer.Exit(outcome_of(error).exit_code) from error


def _tell(error: KeyturnError, *, as_json: bool) -> None:
    if as_json:
        from keyturn.http import problem_of_command

        typer.echo(json.dumps(problem_of_command(error), default=str), err=True)
        return
    for name, text in {"error": error.message, "hint": error.hint, **outcome_of(error).runbook}.items():
        if text:
            note(text, f"{name}: ")


def _note_json(ctx: typer.Context, *, wanted: bool) -> bool:
    ctx.meta[_JSON] = wanted  # which a command shares with the group that ends it
    return wanted


def note(text: str, name: str = "") -> None:
    """Write a message to standard error, in lines of the terminal's width where there is one."""
    for line in error_lines(name, text) if sys.stderr.isatty() else [f"{name}{text}"]:
        echo(line, err=True)


def echo(text: str, *, err: bool = False) -> None:
    """Write lines, on which nothing is hidden from the reader: names and remarks are others' texts."""
    typer.echo(visible_lines(text), err=err)


AsJson = Annotated[
    bool, typer.Option("--json", callback=_note_json, help="write the app's answer as JSON, and a problem too")
]
FromApp = Annotated[bool, typer.Option("--from-app", help="let the app do it in its own network: takes KEYTURN_URL")]
Field = Annotated[
    str | None, typer.Option(metavar="NAME", help="write only this member of the answer; a.b is member b of a")
]


def write(answer: Any, *, as_json: bool, field: str | None = None) -> None:
    """Write the answer, or one member of it."""
    chosen = answer if field is None else _member(answer, field)
    if as_json or isinstance(chosen, list):
        echo(json.dumps(chosen, indent=2, ensure_ascii=False))
    elif isinstance(chosen, dict):
        for line in _lines(chosen):
            echo(line)
    else:
        echo("" if chosen is None else _plain(chosen))


def _member(answer: Any, field: str) -> Any:
    found = answer
    for name in field.split("."):
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, ValueError, TypeError):
            raise InvalidRequestError.expected("field", "a member of the answer", named=f"--field {field}") from None
    return found


def _lines(members: dict[str, Any], indent: str = "") -> list[str]:
    """Return a line for each member that says something, nested ones below their name."""
    lines: list[str] = []
    width = max((len(name) for name in members), default=0)
    for name, value in members.items():
        if value is None or value in ({}, [], ""):
            continue
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, f"{indent}  ")]
        elif isinstance(value, list) and any(isinstance(element, dict) for element in value):
            lines.append(f"{indent}{name}")
            for element in value:
                lines += [f"{indent}  -", *_lines(element, f"{indent}    ")]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else _plain(value)
            lines.append(f"{indent}{name.ljust(width)}  {visible(shown)}")
    return lines


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def signing_secret(file: Path | None, variable: str) -> str:
    """Return the first webhook secret of the file, or of the variable where there is no file.

    Raises:
        SettingsError: there is none; it never tells what was found.
    """
    from pydantic import SecretStr

    from keyturn.settings.types import signing_secrets

    try:
        text = file.read_text() if file is not None else os.environ.get(variable, "")
        return signing_secrets(SecretStr(text))[0]
    except (OSError, ValueError) as error:
        expected = "a file that can be read" if isinstance(error, OSError) else str(error).removeprefix("expected ")
        raise SettingsError(f"{file or variable}: expected {expected}", variable=variable, expected=expected) from None
