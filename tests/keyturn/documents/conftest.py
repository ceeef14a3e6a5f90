"""A scene for each test."""

from collections.abc import AsyncIterator

import pytest
from azure.cosmos.aio import CosmosClient

from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.keyturn.documents.harness import DocumentsHarness, Side


@pytest.fixture
async def harness(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient
) -> AsyncIterator[DocumentsHarness]:
    """An empty container, and two keys with a version and an empty dek store each."""
    meks = [Mek(vault), Mek(vault)]
    source, target = [await Side.create(mek, cosmos_client) for mek in meks]
    yield DocumentsHarness(await new_container(cosmos_client, "notes"), source, target)
    for mek in meks:
        await mek.close()
    vault.control("DELETE", "faults")
    cosmos.clear_faults()
