"""Documents to diagnose."""

import pytest
from azure.cosmos.aio import CosmosClient

from tests.keyturn.diagnosis.patients import Patients
from tests.keyturn.local_keyring import LocalKeyring


@pytest.fixture
async def patients(local_keyring: LocalKeyring, cosmos_client: CosmosClient) -> Patients:
    """A keyring of its own for each test, with no document yet."""
    return await Patients.create(local_keyring, cosmos_client)
