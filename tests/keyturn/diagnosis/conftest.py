"""Documents to diagnose."""

import pytest
from azure.cosmos.aio import CosmosClient

from tests.keyturn.diagnosis.damaged_documents import DamagedDocuments
from tests.keyturn.local_keyring import LocalKeyring


@pytest.fixture
async def damaged(local_keyring: LocalKeyring, cosmos_client: CosmosClient) -> DamagedDocuments:
    """A keyring of its own for each test, with no document yet."""
    return await DamagedDocuments.create(local_keyring, cosmos_client)
