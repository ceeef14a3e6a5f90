"""The local identity and Key Vault as the tests use them: keys, principals, faults, the operation log."""

import os
import ssl
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import requests
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

from field_encrypt.key_vault import MekClient
from local.identity.roles import KEYS, ROLES
from tests.local.services import ServiceProcess, make_certificate, start_service

SECONDS = 60
ALL_OF_KEYS = (f"{KEYS}/*",)


class LocalVault:
    """A running vault with its identity service."""

    def __init__(self, folder: Path) -> None:
        self.server, self.authority = make_certificate(folder)
        self.identity = start_service("local.identity", "--state", folder / "identity")
        self.identity_key = folder / "identity" / "signing_key.pub.pem"
        arguments = ("--state", folder / "vault", "--tls", self.server, "--identity-key", self.identity_key)
        self.service: ServiceProcess = start_service("local.key_vault", *arguments, "--limits", "off")
        self.url = self.service.url

    def stop(self) -> None:
        """Stop both services."""
        self.service.stop()
        self.identity.stop()

    def principal(self, name: str, *roles: str) -> dict[str, str]:
        """Make a principal and return the environment in which DefaultAzureCredential is that principal."""
        url = f"{self.identity.url}/_control/principals/{name}"
        answer = requests.put(url, json={"roles": list(roles)}, timeout=SECONDS)
        answer.raise_for_status()
        return {"IDENTITY_ENDPOINT": f"{self.identity.url}/msi/token", "IDENTITY_HEADER": answer.json()["header"]}

    def credential(self, name: str, *roles: str) -> DefaultAzureCredential:
        """Return the credential of a principal with these data actions or named roles."""
        with patch.dict(os.environ, self.principal(name, *roles)):
            return DefaultAzureCredential()

    def transport(self) -> Any:
        """Return a transport that trusts the vault's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        return AioHttpTransport(session=aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)))

    def control(self, method: str, path: str, **options: Any) -> Any:
        """Call the vault's control endpoint and return what it says."""
        url = f"{self.url}/_control/{path}"
        answer = requests.request(method, url, verify=str(self.authority), timeout=SECONDS, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def operations(self, who: str) -> list[str]:
        """Return the operations of a principal in their order."""
        return [entry["operation"] for entry in self.control("GET", "operations", params={"who": who})]


class Mek:
    """A fresh key of the vault, a client of it with its own principal, and an administrator's client."""

    def __init__(self, vault: LocalVault, *roles: str) -> None:
        self.vault = vault
        self.name = f"mek-{uuid.uuid4().hex[:8]}"
        self.who = f"app-{self.name}"
        self.admin_credential = vault.credential("admin", *ALL_OF_KEYS)
        self.admin = KeyClient(
            vault.url, self.admin_credential, verify_challenge_resource=False, transport=vault.transport()
        )
        self.credential = vault.credential(self.who, *(roles or ROLES["Key Vault Crypto Service Encryption User"]))
        self.client = self.new_client()

    def new_client(self, name: str | None = None) -> MekClient:
        """Return a client that knows nothing yet, of the same principal; ``name`` spells the key's name."""
        return MekClient(
            self.vault.url,
            name or self.name,
            self.credential,
            verify_challenge_resource=False,
            transport=self.vault.transport(),
        )

    async def create(self, **options: Any) -> str:
        """Create a version and return its id."""
        key = await self.admin.create_rsa_key(self.name, size=2048, **options)
        assert key.properties.version is not None
        return key.properties.version

    async def change(self, version: str, **properties: Any) -> None:
        """Change a version's properties."""
        await self.admin.update_key_properties(self.name, version, **properties)

    def fault(self, **rule: Any) -> dict[str, Any]:
        """Arm a fault for operations on this key."""
        armed: dict[str, Any] = self.vault.control("POST", "faults", json={"match": self.name, **rule})
        return armed

    @property
    def operations(self) -> list[str]:
        """The operations that the client has made."""
        return self.vault.operations(self.who)

    async def close(self) -> None:
        """Close the clients and their credentials."""
        await self.client.close()
        await self.admin.close()
        await self.credential.close()
        await self.admin_credential.close()
