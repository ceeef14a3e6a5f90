"""The whole local Azure as end-to-end tests use it: the app behind HTTP, and plain SDK clients to look from outside."""

import asyncio
import base64
import contextlib
import os
import ssl
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Self
from unittest.mock import patch

import aiohttp
import requests
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import (
    DekStore,
    FieldEncryptError,
    FieldEncryption,
    KeyVaultProvider,
    MekClient,
    PatientProvider,
    RowDefaults,
)
from field_encrypt.dek import Dek, key_check
from local.people import POLL_SECONDS, People
from local.supervisor import LocalAzure
from local.supervisor.environment import (
    COSMOS_DATABASE,
    DEK_CONTAINER,
    KEYRING,
    MEK_NAME,
    NOTES_CONTAINER,
    RUN_CONTAINER,
)

SECONDS = 10


class Restarts:
    """How often a service was started again."""

    def __init__(self) -> None:
        self.count = 0


class Stage:
    """A running local Azure with its people, its rows and its key."""

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure
        self.keyring = KEYRING
        self.mek_name = MEK_NAME
        with patch.dict(os.environ, azure.client_environment("operator")):
            self._credential = DefaultAzureCredential()
        self.people = People(azure.endpoints())
        self.keys = KeyClient(
            azure.layout.url("key_vault"),
            self._credential,
            verify_challenge_resource=False,
            transport=self._transport(),
        )
        self.mek = MekClient(
            azure.layout.url("key_vault"),
            MEK_NAME,
            self._credential,
            verify_challenge_resource=False,
            transport=self._transport(),
        )
        master_key = (azure.layout.folder("cosmos") / "master_key").read_text().strip()
        self._cosmos = CosmosClient(azure.layout.url("cosmos"), master_key)

    async def __aenter__(self) -> Self:
        await self._cosmos.__aenter__()
        database = self._cosmos.get_database_client(COSMOS_DATABASE)
        self.rows = database.get_container_client(DEK_CONTAINER)
        self.notes = database.get_container_client(NOTES_CONTAINER)
        self.runs = database.get_container_client(RUN_CONTAINER)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.people.__aexit__(None, None, None)
        await self.keys.close()
        await self.mek.close()
        await self._credential.close()
        await self._cosmos.close()

    def _transport(self) -> Any:
        context = ssl.create_default_context(cafile=str(self.azure.ca_bundle))
        return AioHttpTransport(session=aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)))

    def control(self, service: str, method: str, path: str, **options: Any) -> Any:
        """Call a service's control endpoint and return what it says."""
        url = f"{self.azure.layout.url(service)}/_control/{path}"
        answer = requests.request(method, url, verify=str(self.azure.ca_bundle), timeout=SECONDS, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def arm(self, service: str, **rule: Any) -> None:
        """Arm a fault in a service."""
        self.control(service, "POST", "faults", json=rule)

    @contextlib.asynccontextmanager
    async def keep_alive(self, azure: LocalAzure, service: str) -> AsyncIterator["Restarts"]:
        """Start the service again whenever it dies, as a platform does, and count how often."""
        restarts = Restarts()

        async def watch() -> None:
            while True:
                if not azure.processes[service].alive:
                    await asyncio.to_thread(azure.start, service)
                    restarts.count += 1
                await asyncio.sleep(POLL_SECONDS)

        watching = asyncio.create_task(watch())
        try:
            yield restarts
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def versions(self) -> dict[str, bool]:
        """Return every version of the MEK and whether it is enabled."""
        listed = self.keys.list_properties_of_key_versions(MEK_NAME)
        return {str(version.version): bool(version.enabled) async for version in listed}

    async def newest_version(self) -> str:
        """Return the newest enabled version."""
        return (await self.mek.newest_enabled()).version

    async def census(self) -> Counter[str]:
        """Count the rows by their label, from outside."""
        return Counter([str(row.get("mekVersion", "(none)")) async for row in self.rows.read_all_items()])

    async def unreadable_notes(self) -> list[str]:
        """Return the ids of notes that do not decrypt, with nothing cached."""
        provider = PatientProvider(KeyVaultProvider(self.mek))
        encryption = FieldEncryption(provider, DekStore(self.rows, RowDefaults(mek_name=MEK_NAME)), None)
        unreadable = []
        async for note in self.notes.read_all_items():
            try:
                await encryption.decrypt_fields(NOTES_CONTAINER, note["id"], note, None)
            except FieldEncryptError:
                unreadable.append(note["id"])
        return unreadable

    async def add_row(self, version: str, algorithm: str = "RSA-OAEP-256", **properties: Any) -> str:
        """Store a row of a new DEK under the version; a property of ``...`` is left out. Returns its id."""
        dek = Dek.generate()
        wrapped = self.mek.wrap(dek.reveal(), await self.mek.get_version(version), algorithm)
        row = {
            "id": str(uuid.uuid4()),
            "wrappedDek": base64.b64encode(wrapped).decode(),
            "mekName": MEK_NAME,
            "mekVersion": version,
            "algorithm": algorithm,
            "createdAt": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "keyCheck": base64.b64encode(key_check(dek)).decode(),
            **properties,
        }
        await self.rows.create_item({name: value for name, value in row.items() if value is not ...})
        return str(row["id"])

    async def row(self, row_id: str) -> dict[str, Any]:
        """Return a row as it is stored."""
        return dict(await self.rows.read_item(row_id, partition_key=row_id))

    async def dek_of(self, row_id: str) -> bytes:
        """Return the DEK that a reader gets who follows the row's own label and algorithm."""
        row = await self.row(row_id)
        return await self.mek.unwrap(base64.b64decode(row["wrappedDek"]), row["mekVersion"], row["algorithm"])

    async def start(self, **body: Any) -> str:
        """Start a rotation and return its id; the very same request is sent again while the host is away."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        async with asyncio.timeout(SECONDS * 3):
            while True:
                try:
                    answer = await self.people.request_rotation(headers, **body)
                except aiohttp.ClientError:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    break
        assert answer.status == 202, answer.body
        return str(answer.body["rotationId"])

    async def approve(self, rotation_id: str) -> dict[str, Any]:
        """Wait for the evidence, approve it as somebody else, and wait for the end."""
        waiting = await self.people.wait_for(rotation_id, "awaiting_approval")
        answer = await self.people.decide(rotation_id, waiting["evidenceDigest"])
        assert answer.status == 200, answer.body
        return await self.people.wait_for(rotation_id, "completed")

    async def rotate(self) -> dict[str, Any]:
        """Run a whole rotation and return its last status."""
        return await self.approve(await self.start())
