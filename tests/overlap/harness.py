"""One keyring in the services of this process, the workers that act on it, and what it looks like."""

import asyncio
import contextvars
import json
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self, override

from azure.cosmos import PartitionKey
from azure.cosmos._session import Session
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.keyvault.keys.aio import KeyClient

import activities
from field_encrypt import DekStore as ReaderStore
from field_encrypt import MekClient, RowDefaults
from keyturn.contracts.base import Payload
from keyturn.deks.store import DekStore
from keyturn.key_vault.versions import MekVersions
from keyturn.resources import Resources
from keyturn.runs.records import RotationRecord
from local.identity.roles import KEYS
from tests.field_encrypt.local_cosmos import DATABASE
from tests.field_encrypt.local_vault import Mek
from tests.invariants.engine import registered
from tests.invariants.harness import REQUESTER, ActivityHarness
from tests.keyturn.backups import backups_in
from tests.keyturn.local_keyring import LocalKeyring
from tests.overlap.gate import Gate
from tests.overlap.in_process import COSMOS_URL, VAULT_URL, Answer, Line, Request, Services, SkippingLoop

ACTIVITIES = registered(activities)
SETTLE_SECONDS = 2  # in which a version is made here
REQUEST_SECONDS = 3  # between two runs: the harness dates a request a moment back
ACTING: contextvars.ContextVar["Worker"] = contextvars.ContextVar("worker")


class _Vault:
    """What :class:`Mek` asks of a vault."""

    url = VAULT_URL

    def __init__(self, services: Services, line: Line) -> None:
        self._services = services
        self._line = line

    def credential(self, name: str, *_: str) -> Any:
        return self._services.credential(name, f"{KEYS}/*")

    def transport(self) -> Any:
        return self._line.transport()


class _Cosmos:
    url = COSMOS_URL


class Worker(ActivityHarness):
    """A process of the app: its own clients, and a gate through which its requests go."""

    services: Services
    gate: Gate | None = None
    began: tuple[datetime, float] | None = None  # the time at which its run began, and what had been skipped by then
    chance: dict[int, random.Random]  # what it draws, by size, the same each time its run is begun

    def begin_at(self, at: datetime, skipped: float) -> None:
        """Have the run that comes find this time, and draw what any run draws."""
        self.began = at, skipped
        self.chance = defaultdict(lambda: random.Random(0))  # noqa: S311 - repeatable on purpose

    @classmethod
    async def open(cls, services: Services) -> Self:
        """Make the keyring, its containers and its MEK's first version."""
        made: list[Self] = []

        async def carry(request: Request) -> Answer:
            gate = made[0].gate if made else None
            return await (services.answer(request) if gate is None else gate.carry(request, services.answer))

        line = Line(carry)
        vault: Any = _Vault(services, line)
        cosmos: Any = _Cosmos()
        client = CosmosClient(COSMOS_URL, services.master_key, transport=line.transport())
        await client.__aenter__()
        database = await client.create_database_if_not_exists(DATABASE)
        own = await client.create_database_if_not_exists("keyturn")
        deks = await database.create_container_if_not_exists("deks", PartitionKey("/id"))
        notes = await database.create_container_if_not_exists("notes", PartitionKey("/id"))
        state = await own.create_container_if_not_exists("keyturn", PartitionKey("/keyring"))
        worker = await cls.create(LocalKeyring(Mek(vault), cosmos, deks), client, state)
        worker.services, worker.client, worker.line = services, client, line
        worker.encrypt_notes(notes)
        made.append(worker)
        return worker

    client: CosmosClient
    line: Line

    async def beside(self) -> "Worker":
        """Return another process for the same keyring."""
        other = await Worker.open(self.services)
        other.keyring, other.old, other.app = self.keyring, self.old, self.app
        for name in ("keyring", "deks"):
            setattr(other.local_keyring, name, getattr(self.local_keyring, name))
        other.local_keyring.mek.name = self.local_keyring.mek.name
        other.resources.settings = self.resources.settings
        other._template = self.resources.keyring(self.keyring)
        return other

    _template: Any = None

    def restart(self) -> None:
        """Forget everything, as a process does that is started."""
        connection: Any = self.client.client_connection
        connection.session = Session(connection.url_connection)  # type: ignore[no-untyped-call]  # the SDK's has no types
        mek, name, database = self.local_keyring.mek, self.keyring, self.client.get_database_client(DATABASE)
        template = self._template or self.resources.keyring(name)
        self._template = template
        resources = Resources(self.resources.settings, mek.credential, self.client)
        client = MekClient(
            VAULT_URL, mek.name, mek.credential, verify_challenge_resource=False, transport=self.line.transport()
        )
        keys = KeyClient(VAULT_URL, mek.credential, verify_challenge_resource=False, transport=self.line.transport())
        deks = database.get_container_client("deks")
        resources._keyrings[name] = replace(
            template,
            mek=client,
            keys=keys,
            versions=MekVersions(keys, client),
            dek_container=deks,
            rows=DekStore(deks, template.keyring),
            reader_store=ReaderStore(deks, RowDefaults(mek_name=mek.name)),
            documents={name: database.get_container_client(name) for name in template.documents},
            key_backups=backups_in(resources.run_store.documents, keys, keyring=name, mek_name=mek.name),
        )
        self.resources, self.runs, self.gate, self.began = resources, resources.run_store, None, None
        mek.client = client

    @override
    async def start(self, requested_by: str = REQUESTER, ago: float = SETTLE_SECONDS, **policy: Any) -> RotationRecord:
        """Request a rotation that waits for nothing: what it would wait for comes late here on purpose."""
        await asyncio.sleep(REQUEST_SECONDS)
        settled = {"creation_settle": f"PT{SETTLE_SECONDS}S", **policy}
        return await super().start(requested_by, ago, **settled)

    @override
    async def act(self, name: str, request: Payload) -> dict[str, Any]:
        """Run a registered activity in this process."""
        ACTING.set(self)
        answer: dict[str, Any] = await ACTIVITIES[name](request.to_payload())
        return answer


@dataclass(frozen=True)
class Snapshot:
    """What there is at one moment, without what the database adds."""

    rows: dict[str, dict[str, Any]]
    versions: dict[str, tuple[bool, dict[str, str]]]
    documents: dict[str, dict[str, Any]]
    notes: dict[str, dict[str, Any]]


class Saved(NamedTuple):
    """A world as it was."""

    content: bytes
    versions: Any
    at: datetime


class Explored:
    """The services, three processes of the app, and whatever is put back between two experiments."""

    _loop: SkippingLoop
    _set: tuple[datetime, float]
    services: Services
    first: Worker  # is stopped
    second: Worker  # goes on meanwhile
    outside: Worker  # looks

    @classmethod
    async def make(cls, folder: Path) -> Self:
        """Make a keyring with one version and no rows."""
        services_state = cls()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SkippingLoop)
        services_state._loop, services_state._set = loop, (datetime.now(UTC), loop.time())
        services_state.services = Services(folder)
        services_state.first = await Worker.open(services_state.services)
        services_state.second, services_state.outside = (
            await services_state.first.beside(),
            await services_state.first.beside(),
        )
        services_state.restart()
        return services_state

    def restart(self) -> None:
        """Have every process of the app start anew."""
        for worker in (self.first, self.second, self.outside):
            worker.restart()

    async def close(self) -> None:
        """Close the clients, and what the services hold."""
        for worker in (self.first, self.second, self.outside):
            await worker.client.close()
        self.services.close()

    def saved(self) -> Saved:
        """Return the whole state of the services, and what time it is."""
        return Saved(*self.services.saved(), self.now())

    def put_back(self, saved: Saved) -> None:
        """Put the state of the services back, and the time; processes go on with what they know."""
        self.services.put_back((saved.content, saved.versions))
        self._set = saved.at, self._loop.time()

    @property
    def skipped(self) -> float:
        """Seconds that were not waited for."""
        return self._loop.skipped

    def skip(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._loop.skip(seconds)

    def now(self) -> datetime:
        """Return the time of day, to which the time belongs that nobody waited for."""
        return self._set[0] + timedelta(seconds=self._loop.time() - self._set[1])

    def snapshot(self) -> Snapshot:
        """Look at everything, without asking a service."""
        keyring, name = self.first.keyring, self.first.local_keyring.mek.name
        found = self.services.vault.store.versions(name)
        return Snapshot(
            rows=self._items(DATABASE, "deks"),
            versions={key.version: (key.enabled, dict(key.tags)) for key in found},
            documents={
                key: item
                for key, item in self._items("keyturn", "keyturn").items()
                if item["keyring"] == keyring or str(item["keyring"]).startswith("~")
            },
            notes=self._items(DATABASE, "notes"),
        )

    def _items(self, database: str, container: str) -> dict[str, dict[str, Any]]:
        number = self.services.account.catalog.container(database, container).number
        query = "SELECT body FROM items WHERE container = ?"
        contents = [json.loads(body) for (body,) in self.services._database.execute(query, (number,))]
        return {
            item["id"]: {name: value for name, value in item.items() if not name.startswith("_")} for item in contents
        }


def container_of(worker: Worker) -> ContainerProxy:
    """Return the dek store as the worker's clients see it."""
    return worker.resources.keyring(worker.keyring).dek_container
