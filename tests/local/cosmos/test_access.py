"""Who may do what: access tokens with data actions, and the master key."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from tests.local.cosmos.conftest import DATABASE, LocalCosmos, listed

ACCOUNT = "Microsoft.DocumentDB/databaseAccounts"
CONTAINERS = f"{ACCOUNT}/sqlDatabases/containers"
METADATA = f"{ACCOUNT}/readMetadata"
ALL = (METADATA, f"{CONTAINERS}/*")

Attempt = Callable[[ContainerProxy], Awaitable[Any]]

ATTEMPTS: dict[str, tuple[str, Attempt]] = {
    "create": (f"{CONTAINERS}/items/create", lambda one: one.create_item({"id": "new", "pk": "p"})),
    "read": (f"{CONTAINERS}/items/read", lambda one: one.read_item("a", "p")),
    "upsert": (f"{CONTAINERS}/items/upsert", lambda one: one.upsert_item({"id": "a", "pk": "p"})),
    "replace": (f"{CONTAINERS}/items/replace", lambda one: one.replace_item("a", {"id": "a", "pk": "p"})),
    "patch": (
        f"{CONTAINERS}/items/replace",
        lambda one: one.patch_item("a", "p", [{"op": "set", "path": "/n", "value": 1}]),
    ),
    "delete": (f"{CONTAINERS}/items/delete", lambda one: one.delete_item("a", "p")),
    "query": (f"{CONTAINERS}/executeQuery", lambda one: listed(one.query_items("SELECT * FROM c"))),
    "change feed": (
        f"{CONTAINERS}/readChangeFeed",
        lambda one: listed(one.query_items_change_feed(start_time="Beginning")),
    ),
    "batch": (f"{CONTAINERS}/items/delete", lambda one: one.execute_item_batch([("delete", ("a",))], "p")),
}


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_each_operation_needs_its_data_action(cosmos: LocalCosmos, container: ContainerProxy, name: str) -> None:
    """With all data actions but its own an operation answers 403 naming it; with its own it succeeds."""
    action, attempt = ATTEMPTS[name]
    await container.create_item({"id": "a", "pk": "p"})
    others = [each for each, _ in ATTEMPTS.values() if each != action]
    async with cosmos.client_of(METADATA, *others) as poor:
        with pytest.raises(CosmosHttpResponseError, match=action) as refused:
            await attempt(_in(poor, container))
    needed = (action, f"{CONTAINERS}/readChangeFeed") if name == "query" else (action,)

    async with cosmos.client_of(METADATA, *needed) as entitled:
        await attempt(_in(entitled, container))

    assert (refused.value.status_code, refused.value.sub_status) == (403, 5301)


async def test_metadata_needs_its_data_action(cosmos: LocalCosmos) -> None:
    """A principal without readMetadata cannot even open the account."""
    refused = await _refusal_to_open(cosmos.client_of(f"{CONTAINERS}/*"))

    assert refused.status_code == 403
    assert METADATA in str(refused)


async def test_no_token_creates_databases_or_containers(cosmos: LocalCosmos) -> None:
    """Creating a database or a container is refused to every access token, as in Azure's data plane."""
    async with cosmos.client_of("*") as powerful:
        with pytest.raises(CosmosHttpResponseError) as of_database:
            await powerful.create_database("another")
        with pytest.raises(CosmosHttpResponseError) as of_container:
            await powerful.get_database_client(DATABASE).create_container("another", PartitionKey(path="/pk"))

    assert [(one.value.status_code, one.value.sub_status) for one in (of_database, of_container)] == [(403, 5300)] * 2


@pytest.mark.parametrize(("audience", "seconds"), [("https://vault.azure.net", 3600), ("https://localhost", -10)])
async def test_token_for_another_service_or_out_of_date_is_refused(
    cosmos: LocalCosmos, audience: str, seconds: int
) -> None:
    """A token whose audience is not this service, or that has expired, answers 401."""
    refused = await _refusal_to_open(cosmos.client_of(*ALL, audience=audience, seconds=seconds))

    assert refused.status_code == 401


async def test_wrong_master_key_is_refused(cosmos: LocalCosmos) -> None:
    """A request that another key signed answers 401."""
    wrong = "A" * len(cosmos.key.rstrip("=")) + "=" * cosmos.key.count("=")

    refused = await _refusal_to_open(CosmosClient(cosmos.service.url, wrong))

    assert refused.status_code == 401


async def test_batch_is_authorized_operation_by_operation(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """One operation without its data action refuses the whole batch."""
    await container.create_item({"id": "a", "pk": "p"})
    operations = [("read", ("a",)), ("create", ({"id": "b", "pk": "p"},))]

    async with cosmos.client_of(METADATA, f"{CONTAINERS}/items/read") as reader:
        with pytest.raises(CosmosHttpResponseError, match="items/create") as refused:
            await _in(reader, container).execute_item_batch(operations, "p")

    assert not isinstance(refused.value, CosmosBatchOperationError)


def test_master_key_is_readable_by_its_owner_only(cosmos: LocalCosmos) -> None:
    """The master key's file has mode 0600."""
    assert (cosmos.state / "master_key").stat().st_mode & 0o777 == 0o600


def _in(client: CosmosClient, container: ContainerProxy) -> ContainerProxy:
    return client.get_database_client(DATABASE).get_container_client(container.id)


@pytest.fixture(autouse=True)
def _open_without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_COSMOS_HEALTH_CHECK_MAX_RETRIES", "0")


async def _refusal_to_open(client: CosmosClient) -> CosmosHttpResponseError:
    """Return what the service answers to the account read with which a client opens."""
    try:
        with pytest.raises(CosmosHttpResponseError) as refused:
            await client.__aenter__()
    finally:
        await client.close()
    return refused.value
