"""One vault, one account and one task hub for all invariants; for each test a MEK, a dek store and a keyring."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from activities import boundary
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault, Mek
from tests.invariants.engine import Engine
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring
from tests.local.task_hub.hub_process import HubProcess


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


@pytest.fixture(scope="session")
async def cosmos_client(cosmos: LocalCosmos) -> AsyncIterator[CosmosClient]:
    """A client that holds the master key."""
    async with cosmos.client() as client:
        yield client


@pytest.fixture(scope="session")
async def run_container(cosmos_client: CosmosClient) -> ContainerProxy:
    """The container of the app's own documents."""
    database = await cosmos_client.create_database_if_not_exists(DATABASE)
    return await database.create_container(f"keyturn-{uuid.uuid4().hex}", PartitionKey("/keyring"))


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A task hub in a process of its own."""
    process = HubProcess(tmp_path_factory.mktemp("task_hub"))
    yield process
    process.stop()


@pytest.fixture(scope="session")
async def engine(hub: HubProcess) -> AsyncIterator[Engine]:
    """The app's workflows and activities at work on the hub."""
    running = Engine(hub.address, asyncio.get_running_loop())
    running.start()
    yield running
    await asyncio.to_thread(running.stop)


@pytest.fixture
async def harness(
    vault: LocalVault,
    cosmos: LocalCosmos,
    cosmos_client: CosmosClient,
    run_container: ContainerProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ActivityHarness]:
    """A keyring with a MEK of one version and an empty dek store, which the app's activities serve."""
    mek = Mek(vault, *ALL_OF_KEYS)
    local_keyring = LocalKeyring(mek, cosmos, await new_container(cosmos_client, "deks"))
    made = await ActivityHarness.create(local_keyring, cosmos_client, run_container)

    async def resources() -> object:
        return made.resources

    monkeypatch.setattr(boundary, "process_resources", resources)
    yield made
    await made.close()
    await mek.close()
    local_keyring.control_cosmos("settings", replicaLagMs=0)
    vault.control("DELETE", "faults")
    cosmos.clear_faults()


@pytest.fixture
def running_engine(harness: ActivityHarness, engine: Engine) -> ActivityHarness:
    """The scene, with workflows that run."""
    harness.engine = engine
    return harness
