"""``python -m local up``: the local Azure, until Ctrl-C; ``exports`` and ``run`` are for those who work with it."""

import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from local.cosmos.sql.values import MixedTypes
from local.exports import PYTHON, STATE, NotUpError, Who, needed, person, read_endpoints, run_environment, shell_lines
from local.supervisor import LocalAzure, Options

State = Annotated[Path, typer.Option(help="folder that keeps keys, rows, logs and endpoints.json")]

app = typer.Typer(help="A local Azure for Keyturn.", no_args_is_help=True, add_completion=False)


@app.command()
def up(
    *,
    state: State = STATE,
    deks: Annotated[int, typer.Option(min=0, help="notes to seed, each with a DEK of its own")] = 0,
    bits: Annotated[int, typer.Option(help="RSA size of the MEK: 2048, 3072 or 4096")] = 4096,
    vault_limits: Annotated[Literal["service", "off"], typer.Option(help="Azure's limits, or none")] = "service",
    vault_latency_ms: Annotated[float, typer.Option(min=0, help="added to every vault operation")] = 0,
    partitions: Annotated[int, typer.Option(min=1, help="physical partitions of a new container")] = 1,
    throughput: Annotated[int, typer.Option(min=0, help="RU/s of each container; 0 is unlimited")] = 0,
    replica_lag_ms: Annotated[int, typer.Option(min=0, help="how far reads without a session token lag behind")] = 0,
    mixed_types: Annotated[
        MixedTypes, typer.Option(help="what = and != make of two values of different types, on which sources differ")
    ] = "undefined",
    short_pages: Annotated[
        int, typer.Option(min=0, help="items that a query's first page looks at, each next at twice as many; 0: all")
    ] = 0,
    duplicate_events: Annotated[int | None, typer.Option(help="a seed: every external event arrives twice")] = None,
    reads_per_second: Annotated[float, typer.Option(min=0, help="live reads of the demo backend")] = 0,
    writes_per_second: Annotated[float, typer.Option(min=0, help="live writes of the demo backend")] = 0,
    document_migrations: Annotated[
        bool, typer.Option("--document-migrations", help="let the app change documents; of a new folder only")
    ] = False,
    drill_vault: Annotated[
        bool, typer.Option("--drill-vault", help="a second vault, in which key backups are tried; of a new folder only")
    ] = False,
) -> None:
    """Start the services on loopback, seed what is missing, write endpoints.json, and wait for Ctrl-C."""
    if bits not in (2048, 3072, 4096):
        raise typer.BadParameter("must be 2048, 3072 or 4096", param_hint="--bits")
    options = Options(
        state=state,
        deks=deks,
        bits=bits,
        vault_limits=vault_limits,
        vault_latency_ms=vault_latency_ms,
        partitions=partitions,
        throughput=throughput,
        replica_lag_ms=replica_lag_ms,
        mixed_types=mixed_types,
        short_pages=short_pages,
        duplicate_events=duplicate_events,
        reads_per_second=reads_per_second,
        writes_per_second=writes_per_second,
        document_migrations=document_migrations,
        drill_vault=drill_vault,
    )
    stopped = threading.Event()
    for received in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: its terminal was closed
        signal.signal(received, lambda *_: stopped.set())
    azure = LocalAzure(options)
    with azure.running(typer.echo):
        typer.echo("The local Azure is up; Ctrl-C stops it. For another shell:\n")
        typer.echo("\n".join(shell_lines(needed(azure.endpoints(), state), state)))
        typer.echo("\nOr with all settings of the app, as doctor wants them:")
        typer.echo(f'eval "$({PYTHON} -m local exports --state {shlex.quote(str(state))})"')
        typer.echo("Then: keyturn keyrings; keyturn rotate --wait")
        stopped.wait()


@app.command()
def exports(
    *,
    state: State = STATE,
    who: Annotated[Who, typer.Option("--as", help="whose name and identity")] = "operator",
) -> None:
    """Print what a shell needs to work with a local Azure that is up, for ``eval`` or a file."""
    typer.echo("\n".join(shell_lines(person(_endpoints(state), state, who), state)))


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="as: keyturn doctor")],
    *,
    state: State = STATE,
    operator: Annotated[bool, typer.Option("--operator", help="as the operator, who may do more than the app")] = False,
) -> None:
    """Run a command with the app's settings and identity, and with your own KEYTURN_* and FIELD_ENCRYPT_* on top."""
    env = run_environment(_endpoints(state), state, operator=operator)
    raise typer.Exit(subprocess.run(command, env=env, check=False).returncode)  # noqa: S603 - the caller chose it


def _endpoints(state: Path) -> dict[str, Any]:
    try:
        return read_endpoints(state)
    except NotUpError as error:
        raise typer.BadParameter(str(error), param_hint="--state") from None


if __name__ == "__main__":
    sys.exit(app())
