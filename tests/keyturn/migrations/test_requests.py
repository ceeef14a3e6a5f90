"""What is looked at before a migration of documents is started."""

import json

import pytest
from azure.cosmos.aio import CosmosClient
from azure.identity.aio import DefaultAzureCredential

from keyturn.errors import InvalidRequestError
from keyturn.migrations.requests import DecryptCheckRequest, EncryptRequest
from keyturn.resources import Resources
from keyturn.settings import load_settings
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container


async def test_a_container_with_too_many_partitions_is_refused(
    cosmos: LocalCosmos, cosmos_client: CosmosClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass must be able to keep a cursor for each; the account has two. Nothing has begun when it is found."""
    notes = await new_container(cosmos_client, "notes")
    settings = load_settings(
        {
            "AZURE_KEYVAULT_URL": "https://notes.vault.azure.net",
            "FIELD_ENCRYPT_MEK_NAME": "notelett-mek",
            "COSMOS_ENDPOINT": cosmos.url,
            "COSMOS_DATABASE": DATABASE,
            "DEK_CONTAINER": "deks",
            "KEYTURN_DOCUMENTS": json.dumps([{"name": notes.id, "fields": ["title"]}]),
        }
    )
    resources = Resources(settings, DefaultAzureCredential(), cosmos_client)
    check = DecryptCheckRequest(kind="decrypt-check")
    assert (await check.work(resources)).containers == [notes.id]
    monkeypatch.setattr("keyturn.migrations.requests.RANGES_MAX", 1)

    with pytest.raises(InvalidRequestError, match=f"{notes.id} has 2, expected at most 1 physical partitions"):
        await check.work(resources)
    with pytest.raises(InvalidRequestError):
        await EncryptRequest(kind="encrypt").work(resources)

    await resources.keyring(None).mek.close()
    await resources.keyring(None).keys.close()
    await resources.credential.close()
