"""The local Cosmos DB as the tests use it: an account, and a dek store of its own for each test."""

import os
import ssl
import time
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import requests
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.identity.aio import DefaultAzureCredential

from local.supervisor import Options
from tests.azure_option import as_asked
from tests.field_encrypt.local_vault import SECONDS, LocalVault
from tests.local.services import ServiceProcess, start_service

DATABASE = "notes"


class LocalCosmos:
    """A running account beside a vault, whose identity service and certificate it shares."""

    def __init__(self, folder: Path, vault: LocalVault) -> None:
        self._vault = vault
        self._state = folder / "cosmos"
        arguments = ("--state", self._state, "--tls", vault.server, "--identity-key", vault.identity_key)
        options = as_asked(Options(state=folder, partitions=2))
        self.service: ServiceProcess = start_service("local.cosmos", *arguments, *options.cosmos())
        self.url = self.service.url

    @property
    def master_key(self) -> str:
        """The account's key, which may do everything."""
        return (self._state / "master_key").read_text().strip()

    def client(self, credential: Any = None) -> CosmosClient:
        """Return a client with a credential, or with the master key."""
        context = ssl.create_default_context(cafile=str(self._vault.authority))
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        return CosmosClient(self.url, credential or self.master_key, transport=AioHttpTransport(session=session))

    def fault(self, **rule: Any) -> None:
        """Arm a fault."""
        self._post("faults", rule)

    def until_fired(self) -> None:
        """Wait until each armed fault has met a request."""
        url, deadline = f"{self.url}/_control/faults", time.monotonic() + SECONDS
        while not all(
            rule["fired"] for rule in requests.get(url, verify=str(self._vault.authority), timeout=SECONDS).json()
        ):
            assert time.monotonic() < deadline, "a fault met no request in time"

    def split(self, container: str, range_id: str) -> None:
        """Split a physical partition."""
        self._post("split", {"database": DATABASE, "container": container, "partitionKeyRangeId": range_id})

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Change settings of the account, and return them all as they were before."""
        url, authority = f"{self.url}/_control/settings", str(self._vault.authority)
        before: dict[str, Any] = requests.post(url, json={}, verify=authority, timeout=SECONDS).json()
        self._post("settings", changed)
        return before

    def clear_faults(self) -> None:
        """Disarm every fault."""
        requests.delete(f"{self.url}/_control/faults", verify=str(self._vault.authority), timeout=SECONDS)

    def _post(self, path: str, body: dict[str, Any]) -> None:
        url = f"{self.url}/_control/{path}"
        requests.post(url, json=body, verify=str(self._vault.authority), timeout=SECONDS).raise_for_status()

    def credential(self, name: str, *roles: str) -> DefaultAzureCredential:
        """Return the credential of a principal with these data actions or named roles."""
        with patch.dict(os.environ, self._vault.principal(name, *roles)):
            return DefaultAzureCredential()


async def new_container(client: CosmosClient, kind: str, partition_key: str = "/id") -> ContainerProxy:
    """Create a container with a name of its own."""
    database = await client.create_database_if_not_exists(DATABASE)
    return await database.create_container(f"{kind}-{uuid.uuid4().hex[:8]}", PartitionKey(partition_key))
