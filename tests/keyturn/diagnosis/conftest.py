"""Documents to diagnose."""

import pytest
from azure.cosmos.aio import CosmosClient

from tests.keyturn.diagnosis.patients import Patients
from tests.keyturn.world import World


@pytest.fixture
async def patients(world: World, cosmos_client: CosmosClient) -> Patients:
    """A keyring of its own for each test, with no document yet."""
    return await Patients.create(world, cosmos_client)
