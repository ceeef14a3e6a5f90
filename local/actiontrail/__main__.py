"""``python -m local.actiontrail --state DIR --port N --secrets FILE [--tls FILE]``."""

import argparse
import asyncio
from pathlib import Path

from local.actiontrail.service import ActiontrailService
from local.common.serve import serve, server_tls


def main() -> None:
    """Serve the receiver until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.actiontrail")
    parser.add_argument("--state", type=Path, required=True, help="folder of events.jsonl")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secrets", type=Path, required=True, help="file with the secrets that sign, one at least")
    parser.add_argument("--tls", type=Path, help="PEM with the certificate chain and its key")
    arguments = parser.parse_args()
    service = ActiontrailService(arguments.state, arguments.secrets.read_text().split())
    tls = server_tls(arguments.tls) if arguments.tls is not None else None
    asyncio.run(serve(service.application(), port=arguments.port, tls=tls))


if __name__ == "__main__":
    main()
