"""``python -m local.cosmos --state DIR --port N --tls FILE --identity-key FILE [--partitions P] ...``."""

import argparse
import asyncio
from pathlib import Path
from typing import get_args

from local.common.serve import serve, server_tls
from local.cosmos.account import Account
from local.cosmos.server import application
from local.cosmos.sql.values import MixedTypes


def main() -> None:
    """Serve the account until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.cosmos")
    parser.add_argument("--state", type=Path, required=True, help="folder of the database and the master key")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", type=Path, required=True, help="PEM with the certificate chain and its key")
    parser.add_argument("--identity-key", type=Path, required=True, help="PEM public key that verifies access tokens")
    parser.add_argument("--partitions", type=int, default=1, help="physical partitions of a new container")
    parser.add_argument("--throughput", type=float, help="RU/s of each container; unlimited if left out")
    parser.add_argument("--replica-lag-ms", type=float, default=0, help="how far reads without a session lag behind")
    parser.add_argument(
        "--mixed-types",
        choices=get_args(MixedTypes),
        default="undefined",
        help="what = and != make of two values of different types",
    )
    parser.add_argument(
        "--short-pages",
        type=int,
        default=0,
        help="items that a query's first page looks at; 0: all",
    )
    arguments = parser.parse_args()
    if arguments.partitions < 1:
        parser.error("--partitions: at least 1 is needed")
    if arguments.short_pages < 0:
        parser.error("--short-pages: 0 or more is needed")
    account = Account(
        arguments.state,
        arguments.identity_key.read_bytes(),
        partitions=arguments.partitions,
        throughput=arguments.throughput,
        replica_lag_ms=arguments.replica_lag_ms,
        mixed_types=arguments.mixed_types,
        short_pages=arguments.short_pages,
    )
    asyncio.run(serve(application(account), port=arguments.port, tls=server_tls(arguments.tls)))


if __name__ == "__main__":
    main()
