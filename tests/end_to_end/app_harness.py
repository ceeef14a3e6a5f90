"""The whole local Azure as end-to-end tests use it: the app behind HTTP, and plain SDK clients to look from outside."""

import asyncio
import base64
import contextlib
import json
import os
import ssl
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self
from unittest.mock import patch

import aiohttp
import requests
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import (
    DekStore,
    FieldEncryptError,
    FieldEncryption,
    KeyVaultProvider,
    MekClient,
    RetryingProvider,
    RowDefaults,
)
from field_encrypt.dek import Dek, key_check
from local.callers import ENDS, POLL_SECONDS, Callers
from local.supervisor import LocalAzure
from local.supervisor.environment import (
    COSMOS_DATABASE,
    DEK_CONTAINER,
    KEYRING,
    MEK_NAME,
    NOTES_CONTAINER,
    RUN_CONTAINER,
)

SECONDS = 60
RANGES_TRIED = 50
FAULTY = ("key_vault", "cosmos", "functions_host", "backend", "resource_manager")


class Restarts:
    """How often a service was started again."""

    def __init__(self) -> None:
        self.count = 0


class AppHarness:
    """A running local Azure with its people, its rows and its key."""

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure
        self.keyring = KEYRING
        self.mek_name = MEK_NAME
        with patch.dict(os.environ, azure.client_environment("operator")):
            self._credential = DefaultAzureCredential()
        self.callers = Callers(azure.endpoints())
        self.keys = KeyClient(
            azure.layout.url("key_vault"),
            self._credential,
            verify_challenge_resource=False,
            transport=self._transport(),
        )
        self._note_mek = self._mek_client(MEK_NAME)
        self.mek = self._note_mek
        master_key = (azure.layout.folder("cosmos") / "master_key").read_text().strip()
        self._cosmos = CosmosClient(azure.layout.url("cosmos"), master_key)

    async def __aenter__(self) -> Self:
        await self._cosmos.__aenter__()
        database = self._cosmos.get_database_client(COSMOS_DATABASE)
        self._note_rows = database.get_container_client(DEK_CONTAINER)
        self.rows = self._note_rows
        self.notes = database.get_container_client(NOTES_CONTAINER)
        self.runs = database.get_container_client(RUN_CONTAINER)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.callers.__aexit__(None, None, None)
        await self.keys.close()
        for mek in {self.mek, self._note_mek}:
            await mek.close()
        await self._credential.close()
        await self._cosmos.close()

    def _mek_client(self, mek_name: str) -> MekClient:
        return MekClient(
            self.azure.layout.url("key_vault"),
            mek_name,
            self._credential,
            verify_challenge_resource=False,
            transport=self._transport(),
        )

    async def use(self, mek_name: str, dek_container: str) -> None:
        """Look at another MEK and dek store from now on; the container is created where it is missing."""
        self.rows = await self.create_dek_container(dek_container)
        self.mek_name, self.mek = mek_name, self._mek_client(mek_name)

    async def create_dek_container(self, name: str) -> ContainerProxy:
        """Return the dek store of this name, which is created where it is missing."""
        database = self._cosmos.get_database_client(COSMOS_DATABASE)
        return await database.create_container_if_not_exists(name, PartitionKey("/id"))

    @property
    def master_key(self) -> str:
        """The functions host's master key."""
        keys = json.loads((self.azure.layout.folder("functions_host") / "keys.json").read_bytes())
        return str(keys["master"])

    def _transport(self) -> Any:
        context = ssl.create_default_context(cafile=str(self.azure.ca_bundle))
        return AioHttpTransport(session=aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)))

    def request(self, service: str, method: str, path: str, **options: Any) -> requests.Response:
        """Call a service's control endpoint and return its answer."""
        url = f"{self.azure.layout.url(service)}/_control/{path}"
        return requests.request(method, url, verify=str(self.azure.ca_bundle), timeout=SECONDS, **options)

    def control(self, service: str, method: str, path: str, **options: Any) -> Any:
        """Call a service's control endpoint and return what it says."""
        answer = self.request(service, method, path, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def instances(self, prefix: str) -> list[str]:
        """Return the workflow instances whose ids begin so."""
        known = self.control("task_hub_control", "GET", "instances")["instanceIds"]
        return [name for name in known if name.startswith(prefix)]

    def history(self, instance_id: str) -> dict[str, Any]:
        """Return the durable history of a workflow instance."""
        found: dict[str, Any] = self.control("task_hub_control", "GET", f"instances/{instance_id}/history")
        return found

    def arm(self, service: str, **rule: Any) -> None:
        """Arm a fault in a service."""
        self.control(service, "POST", "faults", json=rule)

    def grant(self, principal: str, actions: Iterable[str]) -> None:
        """Grant data actions to a principal, and start the app again: rights travel in tokens, which it keeps."""
        held = self.control("identity", "GET", f"principals/{principal}")["roles"]
        self.control("identity", "PUT", f"principals/{principal}", json={"roles": [*held, *actions]})
        self.azure.processes["functions_host"].terminate()
        self.azure.start("functions_host")

    def split_partition(self) -> None:
        """Split a physical partition of the dek store."""
        body = {"database": COSMOS_DATABASE, "container": DEK_CONTAINER}
        for number in range(RANGES_TRIED):
            answer = self.request("cosmos", "POST", "split", json={**body, "partitionKeyRangeId": str(number)})
            if answer.status_code != HTTPStatus.GONE:  # this one was split before
                answer.raise_for_status()
                return

    def clear_faults(self) -> None:
        """Disarm every fault of every service."""
        for service in FAULTY:
            self.control(service, "DELETE", "faults")

    def release(self, service: str) -> None:
        """Let go on what a rule holds in a service."""
        self.control(service, "DELETE", "faults?kind=hold")

    def said(self, run_id: str, event: str) -> bool:
        """Tell whether the app has logged the event of this rotation, on which an alert is set."""
        return self.log_lines(f"rotation {run_id}: {event}") > 0

    def log_lines(self, text: str) -> int:
        """Count the lines of the app's log that hold the text."""
        return self.azure.layout.log("functions_host").read_text().count(text)

    async def made_by(self, run_id: str) -> list[str]:
        """Return the versions that carry the rotation's tag."""
        listed = self.keys.list_properties_of_key_versions(self.mek_name)
        return [
            str(version.version) async for version in listed if (version.tags or {}).get("keyturn-rotation") == run_id
        ]

    async def end_what_runs(self) -> None:
        """End every run, rotation or migration, that an earlier test left; one that ends by itself is waited for."""
        query = "SELECT VALUE c.holder FROM c WHERE c.kind = 'lease' AND IS_STRING(c.holder)"
        for run_id in [str(holder) async for holder in self.runs.query_items(query)]:
            await self.callers.command(run_id, "abort")
            await self.callers.wait_for(run_id, *ENDS)

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
        listed = self.keys.list_properties_of_key_versions(self.mek_name)
        return {str(version.version): bool(version.enabled) async for version in listed}

    async def newest_version(self) -> str:
        """Return the newest enabled version."""
        return (await self.mek.newest_enabled()).version

    async def census(self) -> Counter[str]:
        """Count the rows by their label, from outside."""
        return Counter([str(row.get("mekVersion", "(none)")) async for row in self.rows.read_all_items()])

    async def unreadable_notes(self) -> list[str]:
        """Return the ids of notes that do not decrypt, with nothing cached."""
        provider = RetryingProvider(KeyVaultProvider(self._note_mek))
        encryption = FieldEncryption(provider, DekStore(self._note_rows, RowDefaults(mek_name=MEK_NAME)), None)
        unreadable = []
        async for note in self.notes.read_all_items():
            try:
                key = note["workspaceId"]
                await encryption.decrypt_fields(NOTES_CONTAINER, note["id"], note, None, partition_key=key)
            except FieldEncryptError:
                unreadable.append(note["id"])
        return unreadable

    async def make_row(self, version: str, algorithm: str = "RSA-OAEP-256", **properties: Any) -> dict[str, Any]:
        """Return a row of a new DEK under the version, not stored yet; a property of ``...`` is left out."""
        dek = Dek.generate()
        wrapped = self.mek.wrap(dek.reveal(), await self.mek.get_version(version), algorithm)
        row = {
            "id": str(uuid.uuid4()),
            "wrappedDek": base64.b64encode(wrapped).decode(),
            "mekName": self.mek_name,
            "mekVersion": version,
            "algorithm": algorithm,
            "createdAt": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "keyCheck": base64.b64encode(key_check(dek)).decode(),
            **properties,
        }
        return {name: value for name, value in row.items() if value is not ...}

    async def add_row(self, version: str, algorithm: str = "RSA-OAEP-256", **properties: Any) -> str:
        """Store such a row and return its id."""
        row = await self.make_row(version, algorithm, **properties)
        await self.rows.create_item(row)
        return str(row["id"])

    async def delete_row(self, row_id: str) -> None:
        """Delete a row."""
        await self.rows.delete_item(row_id, partition_key=row_id)

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
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    answer = await self.callers.request_rotation(headers, **body)
                except aiohttp.ClientError:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    break
        assert answer.status == 202, answer.body
        return str(answer.body["rotationId"])

    async def approve(self, run_id: str, seconds: float = 120) -> dict[str, Any]:
        """Wait so long for the evidence, approve it as somebody else, and wait for the end."""
        waiting = await self.callers.wait_for(run_id, "awaiting_approval", seconds=seconds)
        answer = await self.callers.decide(run_id, waiting["evidenceDigest"])
        assert answer.status == 200, answer.body
        return await self.callers.wait_for(run_id, "completed")

    async def rotate(self) -> dict[str, Any]:
        """Run a whole rotation and return its last status."""
        return await self.approve(await self.start())
