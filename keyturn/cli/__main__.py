"""``keyturn COMMAND``, or ``python -m keyturn.cli COMMAND`` in a checkout; without one, it lists them."""

import sys
from typing import Annotated

import typer

from keyturn import __version__
from keyturn.cli import audit, diagnosis, direct, doctor, key_backup, rotations, starting
from keyturn.cli.output import Commands

app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        typer.echo(f"keyturn {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version, and end")
    ] = False,
) -> None:
    """Keyturn on the command line."""


for command in (
    doctor.doctor,
    *(starting.rotate, rotations.status, rotations.report, rotations.approve, rotations.retry, rotations.abort),
    *(rotations.reinstate, rotations.keyrings, diagnosis.orphans),
    *(starting.rollback, starting.restore, starting.reencrypt),
):
    app.command()(command)
app.add_typer(starting.app, name="migrate")
app.add_typer(diagnosis.app, name="diagnose")
app.add_typer(key_backup.app, name="key-backup")
app.add_typer(audit.app, name="audit")
app.add_typer(direct.app, name="direct")

if __name__ == "__main__":
    sys.exit(app())
