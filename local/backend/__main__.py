"""``python -m local.backend --state DIR --port N [...]``, configured by the runbook's environment variables."""

import argparse
import asyncio
from pathlib import Path

from local.backend.clients import open_clients
from local.backend.load import LoadSettings
from local.backend.service import BackendService
from local.backend.settings import BackendSettings
from local.common.serve import serve


def main() -> None:
    """Serve notes until it is told to stop."""
    default = LoadSettings()
    parser = argparse.ArgumentParser(prog="python -m local.backend")
    parser.add_argument("--state", type=Path, required=True, help="folder of the journal of failures")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--identity-key", type=Path, required=True, help="public key of the tokens that readers send")
    parser.add_argument("--reads-per-second", type=float, default=default.reads_per_second)
    parser.add_argument("--writes-per-second", type=float, default=default.writes_per_second)
    parser.add_argument(
        "--version-max-age", type=float, default=60, help="seconds after which writers ask for the current MEK version"
    )
    parser.add_argument(
        "--follow-interval", type=float, default=5, help="seconds after which cached DEKs of rewrapped rows are dropped"
    )
    asyncio.run(_run(parser.parse_args()))


async def _run(arguments: argparse.Namespace) -> None:
    load = LoadSettings(reads_per_second=arguments.reads_per_second, writes_per_second=arguments.writes_per_second)
    async with open_clients(BackendSettings()) as clients:
        service = BackendService(
            arguments.state,
            clients,
            load,
            identity_key=arguments.identity_key.read_bytes(),
            version_max_age_seconds=arguments.version_max_age,
            follow_interval_seconds=arguments.follow_interval,
        )
        await serve(service.application(), port=arguments.port)


if __name__ == "__main__":
    main()
