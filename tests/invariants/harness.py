"""One keyring with everything that a rotation of it needs: rows, versions, the run's record, and the app's clients."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import requests
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.keyvault.keys.aio import KeyClient
from durabletask.client import OrchestrationStatus

import activities
from field_encrypt import DekStore as ReaderStore
from field_encrypt import MekClient, RowDefaults
from keyturn.contracts.base import Payload, Policy
from keyturn.contracts.states import TERMINAL, State
from keyturn.deks.store import DekStore
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.resources import Resources
from keyturn.rotation.start import StartRequest, start
from keyturn.runs.decisions import DecisionRequest, record_decision
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord
from keyturn.settings import DocumentContainer, load_settings
from tests.field_encrypt.local_cosmos import DATABASE
from tests.invariants.checks.rows import Item, changed_deks, needed_but_disabled, stored
from tests.invariants.checks.versions import Inventory, Version, unapproved, versions_of
from tests.invariants.engine import Engine, registered
from tests.keyturn.approval.approvers import SECRET
from tests.keyturn.backups import backups_in
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.runs.lifecycle import workflows

REQUESTER, APPROVER = "dana@example.com", "sam@example.com"
SECONDS = 60
QUICK: dict[str, Any] = {
    "key_size": 2048,
    "vault_operations_per_second": 2000,
    "page_rows": 10,
    "soak": "PT0S",
    "quiet_interval": "PT0S",
    "tail_interval": "PT0.1S",
    "watch": "PT0S",
    "watch_interval": "PT0.1S",
    "creation_settle": "PT2S",
}


class ActivityHarness:
    """What the tests of invariants act in, and what the checks look at."""

    def __init__(
        self, local_keyring: LocalKeyring, resources: Resources, run_container: ContainerProxy, old: str
    ) -> None:
        self.local_keyring = local_keyring
        self._run_container = run_container
        self.resources = resources
        self.runs = resources.run_store
        self.old = old
        self.engine: Engine | None = None
        self.keyring = local_keyring.keyring.name
        self.app = local_keyring.mek.who
        self.outside = self._outsider()  # who looks at the world; the vault's log has its calls apart

    @classmethod
    async def create(cls, local_keyring: LocalKeyring, cosmos: CosmosClient, run_container: ContainerProxy) -> Self:
        """Create the MEK's first version and the app's clients."""
        name = f"k{uuid.uuid4().hex[:12]}"
        local_keyring.keyring = local_keyring.keyring.model_copy(
            update={"name": name, "dek_container": local_keyring.container.id}
        )
        local_keyring.store = DekStore(local_keyring.container, local_keyring.keyring)
        settings = load_settings(
            {
                "KEYTURN_KEYRING": name,
                "KEYTURN_ACCESS": "keys",
                "AZURE_KEYVAULT_URL": local_keyring.mek.vault.url,
                "FIELD_ENCRYPT_MEK_NAME": local_keyring.mek.name,
                "KEYTURN_VERIFY_CHALLENGE_RESOURCE": "false",
                "COSMOS_ENDPOINT": local_keyring.cosmos.url,
                "COSMOS_DATABASE": DATABASE,
                "DEK_CONTAINER": local_keyring.container.id,
                "KEYTURN_DATABASE": "keyturn",
                "KEYTURN_CONTAINER": run_container.id,
                "KEYTURN_KEY_SIZE": "2048",
                "KEYTURN_APPROVERS": json.dumps([APPROVER]),
                "KEYTURN_LINKS_WITHOUT_SIGN_IN": "true",
                "KEYTURN_PUBLIC_URL": "https://keyturn.example",
                "APPROVAL_WEBHOOK_SECRETS": SECRET,
            }
        )
        resources = Resources(settings, local_keyring.mek.credential, cosmos)
        keys = KeyClient(
            local_keyring.mek.vault.url,
            local_keyring.mek.credential,
            verify_challenge_resource=False,
            transport=local_keyring.mek.vault.transport(),
        )
        resources._keyrings[name] = KeyringClients(
            keyring=local_keyring.keyring,
            mek=local_keyring.mek.client,
            keys=keys,
            versions=MekVersions(keys, local_keyring.mek.client),
            dek_container=local_keyring.container,
            rows=local_keyring.store,
            reader_store=ReaderStore(local_keyring.container, RowDefaults(mek_name=local_keyring.mek.name)),
            documents={},
            key_backups=backups_in(resources.run_store.documents, keys, keyring=name, mek_name=local_keyring.mek.name),
        )
        return cls(local_keyring, resources, run_container, await local_keyring.mek.create())

    def _outsider(self) -> MekClient:
        mek = self.local_keyring.mek
        return MekClient(
            mek.vault.url,
            mek.name,
            mek.admin_credential,
            verify_challenge_resource=False,
            transport=mek.vault.transport(),
        )

    async def close(self) -> None:
        """Close what the harness opened; the rest belongs to its fixtures."""
        await self.outside.close()
        await self.resources.keyring(self.keyring).keys.close()

    async def rows(self) -> list[Item]:
        """Return every row as it is stored."""
        return await stored(self.local_keyring.container)

    def encrypt_notes(self, notes: ContainerProxy) -> None:
        """Let the keyring's documents be in this container, with a title to be encrypted."""
        found = self.resources.keyring(self.keyring)
        description = DocumentContainer(name=notes.id, fields=["title"])
        keyring = found.keyring.model_copy(update={"documents": [description]})
        self.resources._keyrings[self.keyring] = replace(found, keyring=keyring, documents={notes.id: notes})

    async def stored_notes(self) -> list[Item]:
        """Return every document of the keyring, as it is stored."""
        return [
            item for notes in self.resources.keyring(self.keyring).documents.values() for item in await stored(notes)
        ]

    async def documents(self) -> list[Item]:
        """Return every document of the app about this keyring: records, lease, audit events, notifications."""
        query = self._run_container.query_items("SELECT * FROM c", partition_key=self.keyring)
        return [document async for document in query]

    async def vault_versions(self) -> dict[str, Version]:
        """Return every version of the MEK as the vault lists it."""
        return await versions_of(self.local_keyring.mek.admin, self.local_keyring.mek.name)

    async def inventory(self) -> Inventory:
        """Write down which versions and rows there are."""
        return await Inventory.take(
            self.local_keyring.mek.admin, self.local_keyring.mek.name, self.local_keyring.container
        )

    async def needed_but_disabled(self) -> list[str]:
        """I1, here and now."""
        return await needed_but_disabled(self.local_keyring.container, self.outside, self.local_keyring.mek.name)

    async def changed_deks(self) -> list[str]:
        """I3, here and now."""
        return await changed_deks(self.local_keyring.container, self.outside, self.local_keyring.deks)

    async def unapproved(self, record: RotationRecord) -> list[str]:
        """I5, here and now."""
        return unapproved(await self.vault_versions(), {record.run_id: await self.runs.read(record.run_id)})

    def deletes_seen(self) -> int:
        """Return how many deletes the database has received since :meth:`count_deletes`."""
        url = f"{self.local_keyring.cosmos.url}/_control/faults"
        rules = requests.get(url, verify=str(self.local_keyring.mek.vault.authority), timeout=SECONDS).json()
        return sum(int(rule["fired"]) for rule in rules if rule["operation"] == "delete")

    def count_deletes(self) -> None:
        """Have the database count deletes from now on: a rule that does nothing, and counts how often it does."""
        self.local_keyring.cosmos.fault(operation="delete", kind="delay", delayMs=0, count=None)

    def operations(self) -> list[dict[str, Any]]:
        """Return what the app has asked of the vault, from the vault's own log."""
        found: list[dict[str, Any]] = self.local_keyring.mek.vault.control(
            "GET", "operations", params={"who": self.app}
        )
        return found

    @property
    def versions(self) -> MekVersions:
        """The MEK's versions as the app's identity sees them."""
        return self.resources.keyring(self.keyring).versions

    async def start(self, requested_by: str = REQUESTER, ago: float = 0, **policy: Any) -> RotationRecord:
        """Request a rotation as the HTTP trigger does, so many seconds ago, with no workflow behind any other."""
        return await start(
            self.runs,
            StartRequest.model_validate({"snapshotReference": "snapshots/1"}),
            keyring=self.keyring,
            requested_by=requested_by,
            trigger="http",
            policy=Policy.model_validate({**QUICK, **policy}),
            workflows=workflows(),
            starts_per_day=1000,
            now=datetime.now(UTC) - timedelta(seconds=ago),
        )

    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run a registered activity once and return its envelope."""
        answer: dict[str, Any] = await registered(activities)[name](request.to_payload())
        return answer

    @property
    def running(self) -> Engine:
        """The workflows that run."""
        assert self.engine is not None, "ask for the fixture running_engine"
        return self.engine

    async def begin(self, record: RotationRecord) -> str:
        """Start the record's workflow and return its instance id."""
        return await asyncio.to_thread(
            self.running.client.schedule_new_orchestration,
            "rotation",
            input=record.to_input().to_payload(),
            instance_id=record.instance_id,
        )

    async def run_workflow(self, name: str, request: Payload) -> dict[str, Any]:
        """Run a workflow on its own to its end and return its result."""
        client = self.running.client
        instance = await asyncio.to_thread(client.schedule_new_orchestration, name, input=request.to_payload())
        result: dict[str, Any] = await self.output_of(instance)
        return result

    async def output_of(self, instance: str) -> Any:
        """Wait until the workflow has completed, and return its result."""
        wait = self.running.client.wait_for_orchestration_completion
        ended = await asyncio.to_thread(wait, instance, timeout=SECONDS)
        assert ended is not None
        assert ended.runtime_status is OrchestrationStatus.COMPLETED, ended.failure_details
        return ended.get_output(dict)

    async def reaches(self, record: RotationRecord, *states: State) -> RotationRecord:
        """Wait until the rotation is in one of the states, and return its record."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.runs.read(record.run_id)
                if found.state in states:
                    return found
                assert found.state not in TERMINAL, f"{found.state}: {found.error} {found.preflight}"
                await asyncio.sleep(0.05)

    async def decide(self, record: RunRecord, approver: str = APPROVER, digest: str | None = None) -> None:
        """Approve the evidence in force, or another digest."""
        request = DecisionRequest(
            run_id=record.run_id,
            decision="approve",
            evidence_digest=digest or record.evidence_digest or "",
            approver=approver,
        )
        message = f"msg_{uuid.uuid4().hex}"
        await record_decision(self.resources.every_run, request, webhook_id=message, now=datetime.now(UTC))

    async def rotate(self, **policy: Any) -> RotationRecord:
        """Run a whole rotation to its end, with an approval in between."""
        record = await self.start(**policy)
        await self.begin(record)
        waiting = await self.reaches(record, State.AWAITING_APPROVAL)
        await self.decide(waiting)
        await self.wake(waiting)
        return await self.reaches(record, *TERMINAL)

    async def wake(self, record: RunRecord, event: str = "decision") -> None:
        """Tell the workflow to look at its record."""
        await asyncio.to_thread(
            self.running.client.raise_orchestration_event,
            record.instance_id,
            event,
            data={"rotationId": record.run_id},
        )

    @asynccontextmanager
    async def ended_afterwards(self, record: RotationRecord) -> AsyncIterator[None]:
        """End the rotation's workflow when the test has seen enough of it."""
        try:
            yield
        finally:
            await self.running.end(record.instance_id)
