"""``keyturn COMMAND``, or ``python -m keyturn.cli COMMAND`` in a checkout; without one, it lists them."""

import sys
from typing import Annotated

import typer

from keyturn import __version__
from keyturn.cli import (
    audit,
    contexts,
    deciding,
    diagnosis,
    direct,
    doctor,
    key_backup,
    restore_rows,
    rotations,
    runs,
    starting,
    verification,
    watch,
)
from keyturn.cli.contexts import Chosen
from keyturn.cli.output import Commands

app = typer.Typer(cls=Commands, no_args_is_help=True)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        typer.echo(f"keyturn {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    context: Chosen = None,
    *,
    version: Annotated[  # noqa: ARG001 - its callback has acted on it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version, and end")
    ] = False,
) -> None:
    """Keyturn on the command line."""
    contexts.choose(ctx, context)


for command in (
    doctor.doctor,
    verification.verify,
    *(starting.rotate, watch.watch, runs.status, runs.report, deciding.approve, deciding.reject),
    *(rotations.retry, rotations.abort),
    *(rotations.reinstate, runs.keyrings, diagnosis.orphans, contexts.login, contexts.contexts),
    *(starting.rollback, starting.restore, starting.reencrypt, restore_rows.restore_rows),
):
    app.command()(command)
app.command("list")(runs.list_runs)
app.command("open")(contexts.open_console)
for group, name in (
    *((starting.app, "migrate"), (diagnosis.app, "diagnose"), (diagnosis.repairs, "repair")),
    *((key_backup.app, "key-backup"), (audit.app, "audit"), (direct.app, "direct")),
):
    app.add_typer(group, name=name, cls=Commands)

if __name__ == "__main__":
    sys.exit(app(prog_name="keyturn"))  # also of a checkout: what completes is the name that is typed
