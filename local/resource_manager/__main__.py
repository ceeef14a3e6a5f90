"""``python -m local.resource_manager --state DIR --port N --tls FILE --identity-key FILE --account ID [...]``."""

import argparse
import asyncio
from pathlib import Path

from local.common.serve import serve, server_tls
from local.resource_manager.containers import Containers
from local.resource_manager.service import ResourceManager


def main() -> None:
    """Serve the resource manager until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.resource_manager")
    parser.add_argument("--state", type=Path, required=True, help="folder of the account's backup policy")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", type=Path, required=True, help="PEM with the certificate chain and its key")
    parser.add_argument("--identity-key", type=Path, required=True, help="PEM public key that verifies access tokens")
    parser.add_argument("--account", required=True, help="resource id of the one database account that exists")
    parser.add_argument("--cosmos", help="URL of the account's data plane; without it there are no containers")
    parser.add_argument("--ca", type=Path, help="PEM of the authority of its certificate")
    arguments = parser.parse_args()
    containers = Containers(arguments.cosmos, arguments.ca) if arguments.cosmos else None
    service = ResourceManager(
        arguments.state,
        port=arguments.port,
        identity_key=arguments.identity_key.read_bytes(),
        account=arguments.account,
        containers=containers,
    )
    asyncio.run(serve(service.application(), port=arguments.port, tls=server_tls(arguments.tls)))


if __name__ == "__main__":
    main()
