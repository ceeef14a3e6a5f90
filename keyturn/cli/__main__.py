"""``python -m keyturn.cli COMMAND``; without one, it lists them."""

import sys

import typer

from keyturn.cli import audit, diagnosis, doctor, key_backup, migrations
from keyturn.cli import migrations as ways_back
from keyturn.cli import rotations as runs

app = typer.Typer(help="Keyturn on the command line.", no_args_is_help=True, add_completion=False)
app.command()(doctor.doctor)
for command in (runs.rotate, runs.status, runs.report, runs.approve, runs.retry, runs.abort, runs.keyrings):
    app.command()(command)
app.command()(diagnosis.orphans)
for way in (ways_back.rollback, ways_back.restore, migrations.reencrypt):
    app.command()(way)
app.add_typer(migrations.app, name="migrate")
app.add_typer(diagnosis.app, name="diagnose")
app.add_typer(key_backup.app, name="key-backup")
app.add_typer(audit.app, name="audit")

if __name__ == "__main__":
    sys.exit(app())
