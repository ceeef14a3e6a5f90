"""A second account beside the one of all tests, and a keyring whose dek store both have."""

from collections.abc import AsyncIterator, Iterator

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault, Mek
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.migrations.two_accounts import TwoAccounts


@pytest.fixture(scope="session")
def other_cosmos(tmp_path_factory: pytest.TempPathFactory, vault: LocalVault) -> Iterator[LocalCosmos]:
    """The account into which backups are restored."""
    running = LocalCosmos(tmp_path_factory.mktemp("other_cosmos"), vault)
    yield running
    running.service.stop()


@pytest.fixture(scope="session")
async def other_client(other_cosmos: LocalCosmos) -> AsyncIterator[CosmosClient]:
    """A client of it that holds the master key."""
    async with other_cosmos.client() as client:
        yield client


@pytest.fixture
async def accounts(
    vault: LocalVault,
    cosmos: LocalCosmos,
    cosmos_client: CosmosClient,
    other_client: CosmosClient,
    container: ContainerProxy,
) -> AsyncIterator[TwoAccounts]:
    """A keyring with a MEK of one version and an empty dek store, in both accounts."""
    mek = Mek(vault, *ALL_OF_KEYS)
    local_keyring = LocalKeyring(mek, cosmos, await new_container(cosmos_client, "deks"))
    harness = await ActivityHarness.create(local_keyring, cosmos_client, container)
    yield await TwoAccounts.create(harness, other_client)
    await harness.close()
    await mek.close()
    vault.control("DELETE", "faults")
    cosmos.clear_faults()
