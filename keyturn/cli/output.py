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
from typer._click.exceptions import UsageError  # typer's own copy of click, which it names nowhere else
from typer.core import TyperGroup

from keyturn.cli.tables import message_lines, width
from keyturn.contracts.characters import visible, visible_lines
from keyturn.errors import InvalidRequestError, KeyturnError, SettingsError, one_of, outcome_of

_JSON = "keyturn.json"


class Commands(TyperGroup):
    """Ends a command that fails with its error's own exit code, and tells it as a problem to who asks for JSON."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args  # of a command that is wrong, too, and is never parsed to its end
        return super().parse_args(ctx, args)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            known = one_of([name for name, one in self.commands.items() if not one.hidden], args[0])
            raise UsageError(f"No such command {args[0]!r}: expected {known}", ctx) from error

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if not ctx.meta[_JSON]:
                raise
            path = error.ctx.command_path if error.ctx is not None else ctx.command_path
            _tell(InvalidRequestError(error.format_message(), hint=f"{path} --help"), as_json=True)
            raise typer.Exit(error.exit_code) from error
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
            note(f"{name}: {text}")


def _note_json(ctx: typer.Context, *, wanted: bool) -> bool:
    ctx.meta[_JSON] = wanted  # which a command shares with the group that ends it
    return wanted


def note(text: str) -> None:
    """Write a message to standard error."""
    echo(text, err=True)


def echo(text: str, *, err: bool = False, whole: bool = False) -> None:
    """Write lines, on which nothing is hidden from the reader: names and remarks are others' texts.

    On a terminal they are broken between words; ``whole`` is for what is pasted elsewhere.
    """
    lines = visible_lines(text).split("\n")
    if not whole and (sys.stderr if err else sys.stdout).isatty():
        lines = [part for line in lines for part in message_lines(line, width(err=err))]
    typer.echo("\n".join(lines), err=err)


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
        echo(json.dumps(chosen, indent=2, ensure_ascii=False), whole=True)
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
            known = (
                [*map(str, range(len(found)))] if isinstance(found, list) else found if isinstance(found, dict) else ()
            )
            expected = f"a member of the answer, {one_of(known, name)}"
            raise InvalidRequestError.expected("field", expected, named=f"--field {field}") from None
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
