"""Services, keys and containers that the tests of the library share."""

from collections.abc import AsyncIterator

import pytest
from azure.cosmos.aio import CosmosClient

from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_keyring import LocalKeyring
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.field_encrypt.notes import Notes
from tests.field_encrypt.other_forms import OtherSystem
from tests.field_encrypt.sweeps import StoreOfRows


@pytest.fixture
async def mek(vault: LocalVault) -> AsyncIterator[Mek]:
    """A key of its own for each test, with no version yet."""
    key = Mek(vault)
    yield key
    await key.close()
    vault.control("DELETE", "faults")


@pytest.fixture
async def cosmos_client(cosmos: LocalCosmos) -> AsyncIterator[CosmosClient]:
    """A client that holds the master key."""
    async with cosmos.client() as client:
        yield client
    cosmos.clear_faults()


@pytest.fixture
async def local_keyring(mek: Mek, cosmos_client: CosmosClient) -> LocalKeyring:
    """A fresh key and dek store."""
    return await LocalKeyring.create(mek, cosmos_client)


@pytest.fixture
async def store(mek: Mek, cosmos_client: CosmosClient) -> StoreOfRows:
    """A key with two versions and an empty dek store."""
    return await StoreOfRows.create(mek, cosmos_client)


@pytest.fixture
async def notes(cosmos_client: CosmosClient) -> Notes:
    """An empty container and dek store."""
    container = await new_container(cosmos_client, "notes", "/workspaceId")
    return Notes(container, await new_container(cosmos_client, "deks"))


@pytest.fixture
async def other(mek: Mek, cosmos_client: CosmosClient) -> OtherSystem:
    """A row and a document of another system."""
    return await OtherSystem.create(mek, cosmos_client)
