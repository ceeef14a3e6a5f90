"""A migration's secret: made once, wrapped as a DEK is, the same for whoever may unwrap, and nobody else's to read."""

import asyncio

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import KeyVaultProvider
from field_encrypt.encoding import to_base64
from keyturn.cosmos.state_container import StateContainer
from keyturn.documents.dek_ids import KIND, open_dek_ids
from keyturn.errors import InvariantError
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.documents.harness import MIGRATION, DocumentsHarness

SECRET = f"{KIND}.{MIGRATION}"


@pytest.fixture
async def records(cosmos_client: CosmosClient) -> StateContainer:
    """Keyturn's own container."""
    return StateContainer(await new_container(cosmos_client, "keyturn", "/keyring"))


async def test_every_caller_gets_the_same_secret(documents_harness: DocumentsHarness, records: StateContainer) -> None:
    """However many begin at once, there is one secret, and a later process opens it again."""
    provider = KeyVaultProvider(documents_harness.source.mek.client)

    concurrent = await asyncio.gather(*(open_dek_ids(records, "notes", MIGRATION, provider) for _ in range(5)))
    async with documents_harness.source.mek.new_client() as client:
        later = await open_dek_ids(records, "notes", MIGRATION, KeyVaultProvider(client))

    assert len({ids.of("notes", ["a"], "a") for ids in [*concurrent, later]}) == 1


async def test_nothing_stored_reveals_an_id(documents_harness: DocumentsHarness, records: StateContainer) -> None:
    """The secret is stored wrapped, under the MEK that its migration writes rows for."""
    await open_dek_ids(records, "notes", MIGRATION, KeyVaultProvider(documents_harness.source.mek.client))

    stored = await records.read("notes", SECRET)

    assert stored is not None
    assert (stored["mekName"], stored["mekVersion"]) == (
        documents_harness.source.mek.name,
        documents_harness.source.version,
    )


@pytest.mark.parametrize("change", [{"keyCheck": to_base64(bytes(16))}, {"wrapped": "no base64"}, {"mekName": None}])
async def test_changed_secret_is_not_used(
    documents_harness: DocumentsHarness, records: StateContainer, change: dict[str, str | None]
) -> None:
    """A secret that is not the one that was made ends the migration, instead of letting rows be planted."""
    provider = KeyVaultProvider(documents_harness.source.mek.client)
    await open_dek_ids(records, "notes", MIGRATION, provider)
    stored = await records.read("notes", SECRET)
    assert stored is not None
    await records.replace({**stored, **change}, stored["_etag"])

    with pytest.raises(InvariantError):
        await open_dek_ids(records, "notes", MIGRATION, provider)
