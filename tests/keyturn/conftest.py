"""Services that the tests of the core share, and for each test a key and a dek store of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos.aio import CosmosClient

from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault, Mek
from tests.keyturn.local_keyring import LocalKeyring


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


@pytest.fixture
async def local_keyring(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient
) -> AsyncIterator[LocalKeyring]:
    """An empty dek store and a MEK without versions."""
    mek = Mek(vault, *ALL_OF_KEYS)
    made = LocalKeyring(mek, cosmos, await new_container(cosmos_client, "deks"))
    yield made
    made.control_cosmos("settings", replicaLagMs=0)
    await mek.close()
    vault.control("DELETE", "faults")
    cosmos.clear_faults()
