"""``python -m keyturn.cli audit verify FILE``."""

import sys

import typer

from keyturn.cli import audit

app = typer.Typer(help="Keyturn on the command line.", no_args_is_help=True, add_completion=False)
app.add_typer(audit.app, name="audit")

if __name__ == "__main__":
    sys.exit(app())
