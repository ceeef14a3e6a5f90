"""The dek store on Cosmos DB: rows are created once, read by dekId, and failures are named."""

from collections.abc import Coroutine
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt.dek_store import DekStore
from field_encrypt.errors import (
    DekExistsError,
    DekNotFoundError,
    DekStoreForbiddenError,
    DekStoreMissingError,
    DekStoreUnavailableError,
    InvalidRowError,
)
from field_encrypt.rows import RowDefaults, RowNames, WrappedDek
from local.identity.roles import CONTAINERS, COSMOS
from tests.field_encrypt.local_cosmos import DATABASE, LocalCosmos, new_container

DEFAULTS = RowDefaults(mek_name="notes-mek")
WRAPPED = WrappedDek(mek_name="notes-mek", mek_version="v1", algorithm="RSA-OAEP-256", wrapped=b"wrapped")
CHECK = bytes(range(16))


async def test_created_row_is_read_back(cosmos_client: CosmosClient) -> None:
    """A row holds what was wrapped, and its key check."""
    store = DekStore(await new_container(cosmos_client, "deks"), DEFAULTS)

    await store.create("dek-1", WRAPPED, CHECK)
    row = await store.read("dek-1")

    assert (row.dek_id, row.wrapped_under("v1"), row.mek_version, row.key_check) == ("dek-1", WRAPPED, "v1", CHECK)


async def test_partition_key_is_derived_from_the_dek_id(cosmos_client: CosmosClient) -> None:
    """A dek store that is partitioned by another property is read with the value that is derived."""
    container = await new_container(cosmos_client, "deks", "/bucket")
    store = DekStore(container, DEFAULTS, RowNames(partition_key="bucket"), lambda dek_id: dek_id[-1])

    await store.create("dek-7", WRAPPED, CHECK)

    assert (await store.read("dek-7")).wrapped == b"wrapped"
    assert (await container.read_item("dek-7", partition_key="7"))["bucket"] == "7"


async def test_existing_row_is_never_overwritten(cosmos_client: CosmosClient) -> None:
    """A second create with another wrap fails and leaves the row as it was."""
    store = DekStore(await new_container(cosmos_client, "deks"), DEFAULTS)
    await store.create("dek-1", WRAPPED, CHECK)

    with pytest.raises(DekExistsError):
        await store.create("dek-1", WRAPPED.model_copy(update={"wrapped": b"other"}), CHECK)

    assert (await store.read("dek-1")).wrapped == b"wrapped"


async def test_create_whose_answer_is_lost_succeeds(cosmos_client: CosmosClient, cosmos: LocalCosmos) -> None:
    """The SDK repeats the create, meets its own row, and the row counts as created."""
    store = DekStore(await new_container(cosmos_client, "deks"), DEFAULTS)
    await store.create("dek-0", WRAPPED, CHECK)
    cosmos.fault(operation="create", kind="reset_after", count=1)

    await store.create("dek-1", WRAPPED, CHECK)

    assert (await store.read("dek-1")).wrapped == b"wrapped"


async def test_missing_row_is_named(cosmos_client: CosmosClient) -> None:
    """A DEK without a row is an operator's matter."""
    store = DekStore(await new_container(cosmos_client, "deks"), DEFAULTS)

    with pytest.raises(DekNotFoundError) as missing:
        await store.read("dek-9")

    assert missing.value.dek_id == "dek-9"


@pytest.mark.parametrize("call", ["read", "find", "create", "create_counted", "reserve"])
async def test_container_that_does_not_exist_is_no_missing_row(cosmos_client: CosmosClient, call: str) -> None:
    """A misspelt name is not taken for rows that were lost, and no later try helps."""
    store = DekStore(cosmos_client.get_database_client(DATABASE).get_container_client("misspelt"), DEFAULTS)
    calls: dict[str, Coroutine[Any, Any, object]] = {
        "read": store.read("dek-1"),
        "find": store.find("dek-1"),
        "create": store.create("dek-1", WRAPPED, CHECK),
        "create_counted": store.create_counted("dek-1", WRAPPED, CHECK, uses=1, documents=1),
        "reserve": store.reserve("dek-1", uses=1, documents=1),
    }
    asked = calls.pop(call)
    for other in calls.values():
        other.close()

    with pytest.raises(DekStoreMissingError, match="misspelt"):
        await asked


@pytest.mark.parametrize("call", ["find", "reserve"])
async def test_container_is_asked_for_before_a_row_counts_as_missing(cosmos: LocalCosmos, call: str) -> None:
    """Azure's gateway may answer for a container that does not exist as it does for an item."""
    async with cosmos.client() as client:
        database = await client.create_database_if_not_exists(DATABASE)
        store = DekStore(database.get_container_client("unknown"), DEFAULTS)
        cosmos.fault(operation="read_container", kind="status", status=404, count=None)

        with pytest.raises(DekStoreMissingError, match="unknown"):
            await (store.find("dek-1") if call == "find" else store.reserve("dek-1", uses=1, documents=1))
    cosmos.clear_faults()


async def test_session_that_a_replica_has_not_reached_is_no_missing_row(
    cosmos_client: CosmosClient, cosmos: LocalCosmos
) -> None:
    """The service answers 404 for it as well: the row may be there, and a later try finds it."""
    store = DekStore(await new_container(cosmos_client, "deks"), DEFAULTS)
    await store.create("dek-1", WRAPPED, CHECK)
    cosmos.fault(operation="read", kind="status", status=404, headers={"x-ms-substatus": "1002"}, count=None)

    with pytest.raises(DekStoreUnavailableError):
        await store.find("dek-1")


async def test_malformed_row_is_named(cosmos_client: CosmosClient) -> None:
    """A row that cannot be read names its property."""
    container = await new_container(cosmos_client, "deks")
    await container.create_item({"id": "dek-1", "wrappedDek": 5})

    with pytest.raises(InvalidRowError) as malformed:
        await DekStore(container, DEFAULTS).read("dek-1")

    assert (malformed.value.dek_id, malformed.value.property_name) == ("dek-1", "wrappedDek")


async def test_store_that_is_away_is_worth_another_try(cosmos_client: CosmosClient, cosmos: LocalCosmos) -> None:
    """A failure of the service belongs to the errors that may pass, with its status."""
    store = DekStore(await new_container(cosmos_client, "deks"), DEFAULTS)
    cosmos.fault(operation="create", kind="status", status=500, count=None)

    with pytest.raises(DekStoreUnavailableError) as away:
        await store.create("dek-1", WRAPPED, CHECK)

    assert (away.value.operation, away.value.status) == ("create", 500)


async def test_identity_that_may_only_read_is_forbidden_to_create(
    cosmos_client: CosmosClient, cosmos: LocalCosmos
) -> None:
    """A missing data action is an operator's matter."""
    container = await new_container(cosmos_client, "deks")
    async with (
        cosmos.credential("reader", f"{COSMOS}/readMetadata", f"{CONTAINERS}/items/read") as credential,
        cosmos.client(credential) as reader,
    ):
        store = DekStore(reader.get_database_client(DATABASE).get_container_client(container.id), DEFAULTS)

        with pytest.raises(DekStoreForbiddenError):
            await store.create("dek-1", WRAPPED, CHECK)
        with pytest.raises(DekNotFoundError):
            await store.read("dek-1")
