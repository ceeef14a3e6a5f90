"""``python -m keyturn.cli COMMAND``; without one, it lists them."""

import sys

import typer

from keyturn.cli import audit, capacity, diagnosis, doctor, key_backup, migrations, runs

app = typer.Typer(help="Keyturn on the command line.", no_args_is_help=True, add_completion=False)
app.command()(doctor.doctor)
for command in (runs.rotate, runs.status, runs.report, runs.approve, runs.retry, runs.abort, runs.keyrings):
    app.command()(command)
app.command()(capacity.capacity)
app.command()(diagnosis.orphans)
app.command()(migrations.reencrypt)
app.add_typer(migrations.app, name="migrate")
app.add_typer(diagnosis.app, name="diagnose")
app.add_typer(key_backup.app, name="key-backup")
app.add_typer(audit.app, name="audit")

if __name__ == "__main__":
    sys.exit(app())
