"""Plugin: the local vault and Cosmos DB, once a worker; a task hub, once a module; what tests of the core open on them.

Tests that use none of them and start no process are marked ``unit`` by themselves: ``make unit`` runs just those. A
folder whose tests need a service of another kind (limits, three partitions, sign-in) has its own fixture of the name.
"""

import inspect
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.audit.log import AuditLog
from keyturn.cosmos.state_container import StateContainer
from keyturn.runs.store import MigrationStore, RotationStore
from local.cosmos.sql.values import MixedTypes
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault, Mek
from tests.keyturn.documents.harness import DocumentsHarness, Side
from tests.keyturn.local_keyring import LocalKeyring
from tests.local.task_hub.hub_process import HubProcess

# What a test's module, or a harness that it uses, has where tests start processes by themselves.
_STARTS_PROCESSES = (
    "subprocess",
    "start_service",
    "start_account",
    "LocalAzure",
    "quick_azure",
    "Process(",
    "pytester",
    "served",
)


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVault]:
    """A vault without limits."""
    running = LocalVault(tmp_path_factory.mktemp("vault"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def cosmos(tmp_path_factory: pytest.TempPathFactory, vault: LocalVault) -> Iterator[LocalCosmos]:
    """An account with two partitions a container."""
    running = LocalCosmos(tmp_path_factory.mktemp("cosmos"), vault)
    yield running
    running.service.stop()


@pytest.fixture(params=get_args(MixedTypes))
def mixed_types(request: pytest.FixtureRequest, cosmos: LocalCosmos) -> Iterator[MixedTypes]:
    """What = and != make of values of different types, on which Microsoft's sources differ: each in turn."""
    before = cosmos.settings(mixedTypes=request.param)
    yield request.param
    cosmos.settings(mixedTypes=before["mixedTypes"])


# Workers of two modules on one hub would take each other's work, which they do not know.
@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A task hub in a process of its own, for the workers of one module."""
    process = HubProcess(tmp_path_factory.mktemp("task_hub"))
    yield process
    process.stop()


@pytest.fixture(scope="session")
async def cosmos_client(cosmos: LocalCosmos) -> AsyncIterator[CosmosClient]:
    """A client that holds the master key."""
    async with cosmos.client() as client:
        yield client


@pytest.fixture(scope="session")
async def container(cosmos_client: CosmosClient) -> ContainerProxy:
    """The container of the app's own documents."""
    database = await cosmos_client.create_database_if_not_exists("keyturn")
    return await database.create_container(f"keyturn-{uuid.uuid4().hex}", PartitionKey("/keyring"))


@pytest.fixture(scope="session")
def documents(container: ContainerProxy) -> StateContainer:
    """The app's own documents."""
    return StateContainer(container)


@pytest.fixture(scope="session")
def runs(documents: StateContainer) -> RotationStore:
    """The records of rotations."""
    return RotationStore(documents)


@pytest.fixture(scope="session")
def audit(documents: StateContainer) -> AuditLog:
    """The audit chains of all runs."""
    return AuditLog(documents)


@pytest.fixture(scope="session")
def migrations(documents: StateContainer) -> MigrationStore:
    """The records of migrations."""
    return MigrationStore(documents)


@pytest.fixture
async def local_keyring(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient
) -> AsyncIterator[LocalKeyring]:
    """An empty dek store and a MEK without versions."""
    mek = Mek(vault, *ALL_OF_KEYS)
    made = LocalKeyring(mek, cosmos, await new_container(cosmos_client, "deks"))
    yield made
    made.control_cosmos("settings", replicaLagMs=0)
    await mek.close()
    vault.control("DELETE", "faults")
    cosmos.clear_faults()


@pytest.fixture
async def documents_harness(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient
) -> AsyncIterator[DocumentsHarness]:
    """An empty container of documents, and two keys with a version and an empty dek store each."""
    meks = [Mek(vault), Mek(vault)]
    source, target = [await Side.create(mek, cosmos_client) for mek in meks]
    yield DocumentsHarness(await new_container(cosmos_client, "notes"), source, target)
    for mek in meks:
        await mek.close()
    vault.control("DELETE", "faults")
    cosmos.clear_faults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need no service."""
    starting: dict[object, bool] = {}
    for item in items:
        if (
            not isinstance(item, pytest.Function)
            or _SERVICES & set(item.fixturenames)
            or item.path.is_relative_to(_LOCAL)
        ):
            continue
        if item.module not in starting:
            source = inspect.getsource(item.module)
            starting[item.module] = any(mark in source for mark in _STARTS_PROCESSES)
        if not starting[item.module] and item.get_closest_marker("long") is None:
            item.add_marker(pytest.mark.unit)


@pytest.fixture(autouse=True)
def _no_process_in_a_unit_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that is marked ``unit`` and starts a process."""
    if request.node.get_closest_marker("unit") is None:
        return

    def refuse(*arguments: Any, **_: Any) -> None:
        pytest.fail(f"a unit test starts a process: {arguments[1:2]}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


_LOCAL = Path(__file__).with_name("local")  # the services themselves are tested there
_SERVICES = {
    "vault",
    "cosmos",
    "hub",
    "azure",
    "app",
    "guarded",
    "account",
    "service",
    "clinic",
    "limited_clinic",
    "environment",
    "bundle",
    "checkov_report",
}
