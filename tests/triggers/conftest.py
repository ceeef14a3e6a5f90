"""A task hub and a ``keyturn`` container, as the triggers use them."""

import json
from collections.abc import AsyncIterator, Iterator

import azure.durable_functions as df
import pytest
from azure.cosmos import PartitionKey
from cryptography.hazmat.primitives.asymmetric import rsa

from keyturn.cosmos.state_container import StateContainer
from keyturn.runs.store import RotationStore
from tests.local.cosmos.conftest import start_account
from tests.local.task_hub.hub_process import HubProcess


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Run a task hub in a process of its own."""
    process = HubProcess(tmp_path_factory.mktemp("task_hub"))
    yield process
    process.stop()


@pytest.fixture
async def durable(hub: HubProcess) -> AsyncIterator[df.DurableFunctionsClient]:
    """Connect the durable client as the host's binding does."""
    client = durable_client(hub.address)
    yield client
    await client.close()


def durable_client(address: str) -> df.DurableFunctionsClient:
    """Return a durable client of the hub at this address."""
    return df.DurableFunctionsClient(json.dumps({"taskHubName": "tests", "rpcBaseUrl": address}))


@pytest.fixture(scope="session")
async def runs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RotationStore]:
    """The store of the runs' records."""
    account = start_account(tmp_path_factory.mktemp("account"), rsa.generate_private_key(65537, 2048))
    try:
        async with account.client() as client:
            database = await client.create_database_if_not_exists("keyturn")
            yield RotationStore(StateContainer(await database.create_container("keyturn", PartitionKey("/keyring"))))
    finally:
        account.service.stop()
