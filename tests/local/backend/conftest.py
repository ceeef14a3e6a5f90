"""The services that the backend needs, and the backend on them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from azure.cosmos.aio import CosmosClient

from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault
from tests.local.backend.running_backend import Backend, LocalKeyring


@pytest.fixture
async def local_keyring(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient, tmp_path: Path
) -> AsyncIterator[LocalKeyring]:
    """A key and containers of their own for one test."""
    made = await LocalKeyring.create(vault, cosmos, cosmos_client, tmp_path)
    yield made
    await made.close()


@pytest.fixture(scope="session")
async def shared_keyring(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalKeyring]:
    """A key and containers that no test changes."""
    made = await LocalKeyring.create(vault, cosmos, cosmos_client, tmp_path_factory.mktemp("shared"))
    yield made
    await made.close()


@pytest.fixture(scope="session")
def quiet(shared_keyring: LocalKeyring) -> Iterator[Backend]:
    """A backend without load on the shared key."""
    backend = shared_keyring.start("--reads-per-second", 0, "--writes-per-second", 0)
    yield backend
    backend.service.stop()
