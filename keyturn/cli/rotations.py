"""Commands for a run, a rotation or a migration: try again, end it, take it back; and the options of all."""

import shlex
from typing import Annotated
from urllib.parse import quote

import typer

from keyturn.cli.client import ask
from keyturn.cli.next_steps import commanded
from keyturn.cli.output import AsJson, echo, write
from keyturn.errors import InvalidRequestError
from keyturn.ids import ROTATIONS, run_link

Run = Annotated[str, typer.Argument(help="id of a rotation or of a migration")]
By = Annotated[str | None, typer.Option(envvar="KEYTURN_BY", help="who you are; not needed where people sign in")]
Reason = Annotated[str, typer.Option(help="why")]
Keyring = Annotated[str | None, typer.Option(help="may be left out where there is only one")]
Wait = Annotated[bool, typer.Option("--wait", help="wait until a person is needed, or the end")]
Poll = Annotated[float, typer.Option(envvar="KEYTURN_POLL", min=0.05, help="seconds between two looks")]

POLL_SECONDS = 10.0


def retry(run: Run, by: By = None, *, as_json: AsJson = False) -> None:
    """Let a run that needs attention try again what is left."""
    _command("retry", run, f"{path_of(run)}/retry", by, as_json=as_json)


def abort(run: Run, by: By = None, *, as_json: AsJson = False) -> None:
    """End a run; every version stays enabled."""
    _command("abort", run, f"{path_of(run)}/abort", by, as_json=as_json)


def reinstate(
    rotation: Annotated[str, typer.Argument(help="the rotation whose retirement is taken back")],
    by: By = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Enable again what a rotation has retired, from its retirement until the retention ends."""
    path = f"{ROTATIONS}/{quote(rotation, safe='')}/reinstate"
    _command("reinstate", rotation, path, by, as_json=as_json)


def _command(command: str, run: str, path: str, by: str | None, *, as_json: bool) -> None:
    answer = ask(lambda api: api.post(path, {"requestedBy": by}))
    write(answer, as_json=as_json, field=None if as_json else "state")
    echo(commanded(command, run, answer), err=True)


def of_keyring(command: str, keyring: str | None) -> str:
    """Return a hint's command with the keyring that was named; where none was, there is only one."""
    return command if keyring is None else f"{command} --keyring {shlex.quote(keyring)}"


def path_of(run: str) -> str:
    """Return where a run is found, which its id tells; raises InvalidRequestError where none is given."""
    if not run.strip():
        raise InvalidRequestError("run: expected an id", hint="keyturn list", field="run", expected="an id")
    return run_link(quote(run, safe=""))
