"""The local services that the tests ask: identity, Key Vault and Cosmos DB, in processes and a state of their own."""

import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from local.common.certificates import make_certificate
from local.common.ports import free_port
from local.common.process import ServiceProcess
from local.identity.principals import PrincipalChange, Principals
from local.identity.roles import ROLES
from local.identity.tokens import TENANT

REPOSITORY = Path(__file__).parents[1]
_ROLES = ("Key Vault Crypto Officer", "Cosmos DB Built-in Data Contributor")


@contextmanager
def running(state: Path) -> Iterator[Mapping[str, str]]:
    """Run the services and yield the environment in which Microsoft's tests find them."""
    server, authority = make_certificate(state)
    principal = Principals(state / "identity" / "principals.json").put(
        "conformance", PrincipalChange(roles=[action for role in _ROLES for action in ROLES[role]])
    )
    context = ssl.create_default_context(cafile=str(authority))
    with ExitStack() as stack:

        def start(service: str, *argv: Any, tls: bool = True) -> str:
            port = free_port()
            url = f"{'https' if tls else 'http'}://localhost:{port}"
            guard = ("--tls", server, "--identity-key", state / "identity" / "signing_key.pub.pem") if tls else ()
            command = [sys.executable, "-m", f"local.{service}", "--port", port, "--state", state / service]
            process = ServiceProcess.start(
                service,
                [str(word) for word in (*command, *guard, *argv)],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                log_path=state / f"{service}.log",
                health_url=f"{url}/_control/health",
                health_ssl=context if tls else None,
            )
            stack.callback(process.terminate)
            process.wait_healthy()
            return url

        identity = start("identity", tls=False)
        vault = start("key_vault", "--limits", "off")
        cosmos = start("cosmos")
        yield {
            "IDENTITY_ENDPOINT": f"{identity}/msi/token",
            "IDENTITY_HEADER": principal.header,
            "SSL_CERT_FILE": str(authority),
            "REQUESTS_CA_BUNDLE": str(authority),
            "AZURE_KEYVAULT_URL": vault,
            # Of a credential that one test makes and does not use.
            "KEYVAULT_TENANT_ID": TENANT,
            "KEYVAULT_CLIENT_ID": principal.objectId,
            "KEYVAULT_CLIENT_SECRET": "none",
            "ACCOUNT_HOST": f"{cosmos}/",
            "ACCOUNT_KEY": (state / "cosmos" / "master_key").read_text().strip(),
        }
