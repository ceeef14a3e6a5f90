"""A ``keyturn`` container on the local Cosmos DB, through the production client."""

from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from cryptography.hazmat.primitives.asymmetric import rsa

from keyturn.rotation.run_store import RunStore
from tests.local.cosmos.conftest import LocalCosmos, start_account


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCosmos]:
    """The account that the tests of this folder share."""
    started = start_account(tmp_path_factory.mktemp("account"), rsa.generate_private_key(65537, 2048))
    yield started
    started.service.stop()


@pytest.fixture(scope="session")
async def client(account: LocalCosmos) -> AsyncIterator[CosmosClient]:
    """A client of the account's owner."""
    async with account.client() as opened:
        yield opened


@pytest.fixture(scope="session")
async def container(client: CosmosClient) -> ContainerProxy:
    """The container of the app's own documents."""
    database = await client.create_database_if_not_exists("keyturn")
    return await database.create_container("keyturn", PartitionKey("/keyring"))


@pytest.fixture(scope="session")
def runs(container: ContainerProxy) -> RunStore:
    """The store under test."""
    return RunStore(container)
