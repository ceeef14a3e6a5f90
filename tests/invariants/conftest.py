"""One vault, one account and one task hub for all invariants; for each test a MEK, a dek store and a keyring."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from activities import boundary
from keyturn.runs import budget
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault, Mek
from tests.invariants.engine import Engine
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver, begun_with
from tests.keyturn.local_keyring import LocalKeyring
from tests.local.task_hub.hub_process import HubProcess


@pytest.fixture(scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """The app's workflows and activities at work on a hub of their own."""
    hub = HubProcess(tmp_path_factory.mktemp("task_hub"))
    running = Engine(hub.address, asyncio.get_running_loop())
    running.start()
    yield running
    await asyncio.to_thread(running.stop)
    hub.stop()


@pytest.fixture
async def harness(
    vault: LocalVault,
    cosmos: LocalCosmos,
    cosmos_client: CosmosClient,
    container: ContainerProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ActivityHarness]:
    """A keyring with a MEK of one version and an empty dek store, which the app's activities serve."""
    mek = Mek(vault, *ALL_OF_KEYS)
    local_keyring = LocalKeyring(mek, cosmos, await new_container(cosmos_client, "deks"))
    made = await ActivityHarness.create(local_keyring, cosmos_client, container)

    async def resources() -> object:
        return made.resources

    monkeypatch.setattr(boundary, "process_resources", resources)
    # The vault is that of all tests: runs that were left half-way claim nothing of its budget here.
    async for claims in container.query_items("SELECT c.id FROM c", partition_key=budget.PARTITION):
        await container.delete_item(claims["id"], budget.PARTITION)
    yield made
    await made.close()
    await mek.close()
    local_keyring.control_cosmos("settings", replicaLagMs=0)
    vault.control("DELETE", "faults")
    cosmos.clear_faults()


@pytest.fixture
def running_engine(harness: ActivityHarness, engine: Engine) -> ActivityHarness:
    """The harness, with workflows that run."""
    harness.engine = engine
    return harness


@pytest.fixture
async def driver(harness: ActivityHarness) -> RotationDriver:
    """A rotation at its beginning, of a store with a few rows."""
    return await begun_with(harness)
