"""``python -m local.identity --state DIR --port N [--token-seconds S]``."""

import argparse
import asyncio
from pathlib import Path

from local.common.serve import serve
from local.identity.service import IdentityService

DEFAULT_TOKEN_SECONDS = 3600


def main() -> None:
    """Serve the identity endpoint until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.identity")
    parser.add_argument("--state", type=Path, required=True, help="folder of the signing key and the principals")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-seconds", type=int, default=DEFAULT_TOKEN_SECONDS, help="lifetime of a token")
    arguments = parser.parse_args()
    service = IdentityService(arguments.state, arguments.token_seconds)
    asyncio.run(serve(service.application(), port=arguments.port))


if __name__ == "__main__":
    main()
