"""``python -m local.key_vault --state DIR --port N --tls FILE --identity-key FILE``, and the options below."""

import argparse
import asyncio
from pathlib import Path

from local.common.serve import serve, server_tls
from local.key_vault.limits import SERVICE_LIMITS, Limits
from local.key_vault.service import KeyVaultService


def main() -> None:
    """Serve the vault until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.key_vault")
    parser.add_argument("--state", type=Path, required=True, help="folder of the keys and the backup secret")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", type=Path, required=True, help="PEM file with certificate chain and key")
    parser.add_argument("--identity-key", type=Path, required=True, help="PEM public key that verifies tokens")
    parser.add_argument("--limits", choices=("service", "off"), default="service", help="Azure's limits, or none")
    parser.add_argument("--latency-ms", type=float, default=0, help="added to every operation")
    parser.add_argument("--throw-away", action="store_true", help="let keys be deleted and purged")
    arguments = parser.parse_args()
    service = KeyVaultService(
        arguments.state,
        port=arguments.port,
        identity_key=arguments.identity_key.read_bytes(),
        limits=Limits(SERVICE_LIMITS) if arguments.limits == "service" else None,
        latency_seconds=arguments.latency_ms / 1000,
        throw_away=arguments.throw_away,
    )
    asyncio.run(serve(service.application(), port=arguments.port, tls=server_tls(arguments.tls)))


if __name__ == "__main__":
    main()
