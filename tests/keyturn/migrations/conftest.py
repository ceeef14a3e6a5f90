"""A ``keyturn`` container on the local Cosmos DB, through the production client."""

import uuid

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from keyturn.cosmos.state_container import StateContainer
from keyturn.runs.store import MigrationStore


@pytest.fixture(scope="session")
async def documents(cosmos_client: CosmosClient) -> StateContainer:
    """The app's own documents."""
    database = await cosmos_client.create_database_if_not_exists("keyturn")
    return StateContainer(await database.create_container(f"keyturn-{uuid.uuid4().hex}", PartitionKey("/keyring")))


@pytest.fixture(scope="session")
def migrations(documents: StateContainer) -> MigrationStore:
    """The store of the migrations' records."""
    return MigrationStore(documents)
