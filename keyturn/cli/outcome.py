"""How a command ends that fails: its error on standard error, and the exit code that belongs to the error."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from keyturn.errors import KeyturnError, outcome_of


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the command with the error's own exit code."""
    try:
        yield
    except KeyturnError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        raise typer.Exit(outcome_of(error).exit_code) from error
