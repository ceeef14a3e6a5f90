"""A ``keyturn`` container on the local Cosmos DB, through the production client."""

import uuid

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.cosmos.state_container import StateContainer
from keyturn.runs.store import RotationStore


@pytest.fixture(scope="session")
async def container(cosmos_client: CosmosClient) -> ContainerProxy:
    """The container of the app's own documents."""
    database = await cosmos_client.create_database_if_not_exists("keyturn")
    return await database.create_container(f"keyturn-{uuid.uuid4().hex}", PartitionKey("/keyring"))


@pytest.fixture(scope="session")
def runs(container: ContainerProxy) -> RotationStore:
    """The store under test."""
    return RotationStore(StateContainer(container))
