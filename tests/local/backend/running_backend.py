"""The backend as a process, and the key and containers that it runs on."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from azure.cosmos.aio import ContainerProxy, CosmosClient

from local.backend.service import AUDIENCE
from local.identity.roles import ROLES
from local.identity.service import API_VERSION
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.field_encrypt.local_vault import SECONDS, LocalVault, Mek
from tests.local.services import ServiceProcess, start_service

ROLE_NAMES = ("Key Vault Crypto Service Encryption User", "Cosmos DB Built-in Data Contributor")


@dataclass
class LocalKeyring:
    """A key with one version, two containers, and the environment of a process that uses them."""

    vault: LocalVault
    mek: Mek
    version: str
    rows: ContainerProxy
    notes: ContainerProxy
    environment: dict[str, str]
    folder: Path

    @classmethod
    async def create(cls, vault: LocalVault, cosmos: LocalCosmos, client: CosmosClient, folder: Path) -> Self:
        """Make a key, containers and a principal of their own."""
        mek = Mek(vault)
        version = await mek.create()
        rows, notes = await new_container(client, "deks"), await new_container(client, "notes", "/workspaceId")
        actions = [action for name in ROLE_NAMES for action in ROLES[name]]
        environment = {
            "FIELD_ENCRYPT_ENABLED": "true",
            "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
            "AZURE_KEYVAULT_URL": vault.url,
            "FIELD_ENCRYPT_MEK_NAME": mek.name,
            "COSMOS_ENDPOINT": cosmos.url,
            "COSMOS_DATABASE": DATABASE,
            "DEK_CONTAINER": rows.id,
            "NOTES_CONTAINER": notes.id,
            "KEYTURN_VERIFY_CHALLENGE_RESOURCE": "false",
            "SSL_CERT_FILE": str(vault.authority),
            **vault.principal(f"backend-{mek.name}", *actions),
        }
        return cls(vault, mek, version, rows, notes, environment, folder)

    async def close(self) -> None:
        """Close the clients and disarm the faults."""
        await self.mek.close()
        self.vault.control("DELETE", "faults")

    def start(self, *arguments: object) -> "Backend":
        """Start a backend on these."""
        state = self.folder / "backend"
        key = ("--identity-key", self.vault.identity_key)
        service = start_service("local.backend", "--state", state, *key, *arguments, env=self.environment)
        return Backend(service, state, self.token())

    def token(self, audience: str = AUDIENCE) -> str:
        """Return a token for the audience, of a principal without any right."""
        asked = {"resource": audience, "api-version": API_VERSION}
        who = self.vault.principal("reader")
        headers = {"X-IDENTITY-HEADER": who["IDENTITY_HEADER"]}
        answer = requests.get(who["IDENTITY_ENDPOINT"], params=asked, headers=headers, timeout=SECONDS)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


@dataclass
class Backend:
    """A running backend."""

    service: ServiceProcess
    state: Path
    token: str

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """Call the backend, with a token of its audience or with this one; an empty one is left out."""
        sent = self.token if token is None else token
        options["headers"] = {"Authorization": f"Bearer {sent}"} if sent else {}
        return requests.request(method, f"{self.service.url}{path}", timeout=SECONDS, **options)

    def load(self, **change: Any) -> dict[str, Any]:
        """Change the load if anything is given, and return its report."""
        answer = self.call("PUT", "/_control/load", json=change) if change else self.call("GET", "/_control/load")
        answer.raise_for_status()
        report: dict[str, Any] = answer.json()
        return report

    async def wait_for(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the load's report meets the condition."""
        deadline = time.monotonic() + 60
        while not condition(report := self.load()):
            if time.monotonic() > deadline:
                pytest.fail(f"within 60 s there was no {what}: {report}")
            await asyncio.sleep(0.02)
        return report
