"""A library made from an environment: one call, everything closed at the end, a missing variable named."""

import gc
import os
import ssl
import uuid
from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from field_encrypt import BlockingFieldEncryption, FieldEncryption, FieldPolicy, KeyPolicy, open_for_rewrap
from field_encrypt.encoding import to_base64
from field_encrypt.errors import InvalidSettingError
from local.identity.roles import ROLES
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault, Mek

ROLE_NAMES = ("Key Vault Crypto Service Encryption User", "Cosmos DB Built-in Data Contributor")
NOTES = FieldPolicy("notes", ["title"])


@pytest.fixture
async def environment(
    vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient, mek: Mek
) -> AsyncIterator[dict[str, str]]:
    """The environment of a process on a fresh key and database, whose identity and certificates this process has."""
    await mek.create()
    name = f"resources-{uuid.uuid4().hex[:8]}"
    database = await cosmos_client.create_database(name)
    for container in ("dek_store", "other_store", "notes"):
        await database.create_container(container, PartitionKey("/id"))
    identity = vault.principal(name, *(action for role in ROLE_NAMES for action in ROLES[role]))
    # What aiohttp makes of the trusted certificates when it is imported.
    trusted = patch("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=str(vault.authority)))
    with trusted, patch.dict(os.environ, identity):
        yield {
            "FIELD_ENCRYPT_ENABLED": "true",
            "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
            "AZURE_KEYVAULT_URL": vault.url,
            "FIELD_ENCRYPT_MEK_NAME": mek.name,
            "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "false",
            "COSMOS_ENDPOINT": cosmos.url,
            "COSMOS_DATABASE": name,
        }


async def dek_ids(client: CosmosClient, environment: dict[str, str], container: str) -> list[str]:
    """Return the ids of a dek store's rows."""
    rows = client.get_database_client(environment["COSMOS_DATABASE"]).get_container_client(container)
    return [row["id"] async for row in rows.query_items("SELECT c.id FROM c")]


async def test_one_call_opens_everything(environment: dict[str, str], cosmos_client: CosmosClient) -> None:
    """Documents survive a round trip through two openings, under the policy that was given."""
    async with FieldEncryption.open(environment, policy=KeyPolicy(per="container")) as encryption:
        await encryption.container(NOTES).create_item({"id": "note-1", "title": "t"})
    async with FieldEncryption.open(environment) as encryption:
        assert (await encryption.container(NOTES).read_item("note-1", "note-1"))["title"] == "t"

    (dek_id,) = await dek_ids(cosmos_client, environment, "dek_store")
    assert dek_id.startswith("container.")


async def test_key_and_rows_of_the_environment(environment: dict[str, str], cosmos_client: CosmosClient) -> None:
    """The provider ``env`` and another dek store are a matter of variables."""
    with_key = {
        **environment,
        "FIELD_ENCRYPT_KEY_PROVIDER": "env",
        "FIELD_ENCRYPT_KEY": to_base64(bytes(32)),
        "FIELD_ENCRYPT_DEK_CONTAINER": "other_store",
    }
    async with FieldEncryption.open(with_key) as encryption:
        await encryption.container(NOTES).create_item({"id": "note-1", "title": "t"})

    assert [len(await dek_ids(cosmos_client, with_key, name)) for name in ("dek_store", "other_store")] == [0, 1]


def test_blocking_code_opens_it_too(environment: dict[str, str]) -> None:
    """The same environment, without a line of asynchronous code."""
    with BlockingFieldEncryption.open(environment) as encryption:
        notes = encryption.container(NOTES)
        notes.create_item({"id": "note-1", "title": "t"})

        assert notes.read_item("note-1", "note-1")["title"] == "t"


async def test_error_within_is_the_callers_own(environment: dict[str, str]) -> None:
    """What the application raises arrives as it was raised, after everything was closed."""
    with pytest.raises(KeyError, match="mine"):
        async with FieldEncryption.open(environment):
            raise KeyError("mine")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COSMOS_ENDPOINT", None),
        ("COSMOS_ENDPOINT", "http://localhost"),
        ("COSMOS_DATABASE", None),
        ("COSMOS_DATABASE", "a/b"),
        ("FIELD_ENCRYPT_DEK_CONTAINER", ""),
        ("FIELD_ENCRYPT_ENABLED", "false"),
        ("FIELD_ENCRYPT_KEY_PROVIDER", None),
        ("FIELD_ENCRYPT_MEK_NAME", None),
    ],
)
async def test_variable_that_is_missing_or_malformed_is_named(
    environment: dict[str, str], variable: str, value: str | None
) -> None:
    """Nothing is opened half."""
    changed = {**environment, variable: value or ""}
    if value is None:
        del changed[variable]

    with pytest.raises(InvalidSettingError) as refused:
        async with FieldEncryption.open(changed):
            pytest.fail("opened")

    assert refused.value.setting == variable


async def test_account_that_does_not_answer_leaves_nothing_open(environment: dict[str, str]) -> None:
    """The SDK's own error arrives, and no connection or session is left behind (an unclosed one fails the test)."""
    with pytest.raises(AzureError):
        async with FieldEncryption.open({**environment, "COSMOS_ENDPOINT": "https://127.0.0.1:9"}):
            pytest.fail("opened")
    gc.collect()


async def test_a_key_without_versions_is_no_target(environment: dict[str, str]) -> None:
    """Rows under a key of the environment cannot be moved: the variable that says so is named."""
    key = {"FIELD_ENCRYPT_KEY_PROVIDER": "env", "FIELD_ENCRYPT_KEY": to_base64(bytes(32))}

    with pytest.raises(InvalidSettingError, match="FIELD_ENCRYPT_KEY_PROVIDER"):
        async with open_for_rewrap({**environment, **key}):
            pass
