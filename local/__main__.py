"""``python -m local up --state DIR``: the local Azure, until Ctrl-C; ``run`` runs a command as the app does."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, Literal

import typer

from local.cosmos.sql.values import MixedTypes
from local.supervisor import LocalAzure, Options

app = typer.Typer(help="A local Azure for Keyturn.", no_args_is_help=True, add_completion=False)


@app.command()
def up(
    *,
    state: Annotated[Path, typer.Option(help="folder that keeps keys, rows, logs and endpoints.json")],
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
    for received in (signal.SIGINT, signal.SIGTERM):
        signal.signal(received, lambda *_: stopped.set())
    azure = LocalAzure(options)
    with azure.running():
        typer.echo(f"the local Azure is up: {azure.layout.state / 'endpoints.json'}; Ctrl-C stops it")
        stopped.wait()


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="as: python -m keyturn.cli doctor")],
    *,
    state: Annotated[Path, typer.Option(help="folder of a local Azure that is up")],
    operator: Annotated[bool, typer.Option("--operator", help="as the operator, who may do more than the app")] = False,
) -> None:
    """Run a command in the app's environment: its settings, and its identity."""
    try:
        endpoints = json.loads((state / "endpoints.json").read_bytes())
    except FileNotFoundError:
        raise typer.BadParameter(f"no local Azure is up in {state}", param_hint="--state") from None
    env = {**endpoints["appEnvironment"], **(endpoints["environment"] if operator else {})}
    raise typer.Exit(subprocess.run(command, env=env, check=False).returncode)  # noqa: S603 - whoever calls chose it


if __name__ == "__main__":
    sys.exit(app())
