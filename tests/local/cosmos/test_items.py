"""Single items through the SDK: what is written is read, and every refusal is the service's own."""

import uuid
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import CosmosClient as SyncClient
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from azure.cosmos.partition_key import NonePartitionKeyValue

from local.cosmos.store import writes_of
from tests.local.cosmos.conftest import DATABASE, LocalCosmos, new_container

STALE = '"00000000-0000-0000-0000-000000000000"'


async def test_created_item_is_read_with_system_properties(container: ContainerProxy) -> None:
    """A created item comes back with its properties and the service's own, and charges RU for both."""
    created = await container.create_item({"id": "a", "pk": "p", "text": "größer €", "n": 1.5})

    read = await container.read_item("a", "p")

    assert created == read
    assert {"id": "a", "pk": "p", "text": "größer €", "n": 1.5}.items() <= read.items()
    assert {"_rid", "_self", "_etag", "_ts", "_attachments"} < set(read)
    assert read["_etag"] == read.get_response_headers()["etag"]
    assert [_charge(created), _charge(read)] == [5.5, 1.0]


async def test_second_create_of_an_id_conflicts_within_its_partition_key_only(container: ContainerProxy) -> None:
    """An id is unique within its partition key value: 409 there, no objection elsewhere."""
    await container.create_item({"id": "a", "pk": "p"})
    await container.create_item({"id": "a", "pk": "q"})

    with pytest.raises(CosmosResourceExistsError):
        await container.create_item({"id": "a", "pk": "p"})


async def test_every_write_gives_a_new_etag(container: ContainerProxy) -> None:
    """Create, upsert, replace and patch each give another ETag, which counts them; a replace costs twice an insert."""
    created = await container.create_item({"id": "a", "pk": "p"})
    upserted = await container.upsert_item({"id": "a", "pk": "p", "n": 1})
    replaced = await container.replace_item("a", {"id": "a", "pk": "p", "n": 2})
    patched = await container.patch_item("a", "p", [{"op": "set", "path": "/n", "value": 3}])

    etags = [one["_etag"] for one in (created, upserted, replaced, patched)]

    assert len(set(etags)) == 4
    assert [writes_of(etag) for etag in etags] == [0, 1, 2, 3]
    assert _charge(replaced) == 2 * _charge(created)


@pytest.mark.parametrize("operation", ["replace", "upsert", "patch", "delete"])
async def test_stale_etag_is_refused_and_changes_nothing(container: ContainerProxy, operation: str) -> None:
    """A conditional write with a stale ETag answers 412; with the current one it succeeds."""
    created = await container.create_item({"id": "a", "pk": "p"})
    with pytest.raises(CosmosAccessConditionFailedError):
        await _conditional(container, operation, STALE)
    unchanged = await container.read_item("a", "p")

    await _conditional(container, operation, created["_etag"])

    assert created == unchanged


async def _conditional(container: ContainerProxy, operation: str, etag: str) -> None:
    condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    item = {"id": "a", "pk": "p", "n": 1}
    match operation:
        case "replace":
            await container.replace_item("a", item, **condition)
        case "upsert":
            await container.upsert_item(item, **condition)
        case "patch":
            await container.patch_item("a", "p", [{"op": "add", "path": "/n", "value": 1}], **condition)
        case "delete":
            await container.delete_item("a", "p", **condition)


async def test_upsert_with_an_etag_creates_what_is_not_there(container: ContainerProxy) -> None:
    """An upsert of a missing item has nothing that its condition could meet."""
    await _conditional(container, "upsert", STALE)

    assert (await container.read_item("a", "p"))["n"] == 1


async def test_missing_item_is_not_found(container: ContainerProxy) -> None:
    """Read, replace, patch and delete of an item that does not exist answer 404."""
    for attempt in (
        container.read_item("a", "p"),
        container.replace_item("a", {"id": "a", "pk": "p"}),
        container.patch_item("a", "p", [{"op": "add", "path": "/n", "value": 1}]),
        container.delete_item("a", "p"),
    ):
        with pytest.raises(CosmosResourceNotFoundError):
            await attempt


async def test_deleted_item_is_gone(container: ContainerProxy) -> None:
    """A deleted item is not found, and its id is free again."""
    await container.create_item({"id": "a", "pk": "p"})

    await container.delete_item("a", "p")

    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item("a", "p")
    await container.create_item({"id": "a", "pk": "p"})


async def test_read_with_the_known_etag_answers_nothing(container: ContainerProxy) -> None:
    """A read with If-None-Match of the current ETag answers 304 without a body."""
    created = await container.create_item({"id": "a", "pk": "p"})

    again = await container.read_item("a", "p", etag=created["_etag"], match_condition=MatchConditions.IfModified)

    assert again == {}


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_item_over_two_megabytes_is_too_large(container: ContainerProxy) -> None:
    """An item over 2 MB is refused with 413."""
    with pytest.raises(CosmosHttpResponseError) as refused:
        await container.create_item({"id": "a", "pk": "p", "blob": "x" * 2 * 1024 * 1024})

    assert refused.value.status_code == 413


@pytest.mark.parametrize("name", ["", "a" * 1024, 7])
async def test_invalid_id_is_refused(container: ContainerProxy, name: object) -> None:
    """An id that is empty, not a string or over 1023 bytes is refused with 400."""
    with pytest.raises((CosmosHttpResponseError, TypeError)) as refused:
        await container.create_item({"id": name, "pk": "p"}, enable_automatic_id_generation=False)

    assert not isinstance(refused.value, CosmosHttpResponseError) or refused.value.status_code == 400


async def test_minimal_answer_has_no_body(container: ContainerProxy) -> None:
    """A write with no_response answers without the item, but with its session token."""
    answer = await container.upsert_item({"id": "a", "pk": "p"}, no_response=True)

    assert dict(answer) == {}
    assert "x-ms-session-token" in answer.get_response_headers()


@pytest.mark.parametrize("value", ["text", "", 7, 1.25, -3, True, False, None])
async def test_partition_key_values_of_every_type_are_routed_as_the_client_routes(
    container: ContainerProxy, value: Any
) -> None:
    """An item is found under any partition key value, also through the feed range that the client computes for it."""
    await container.create_item({"id": "a", "pk": value})

    read = await container.read_item("a", value)
    feed_range = await container.feed_range_from_partition_key(value) if value is not None else None
    within = (
        [item async for item in container.query_items("SELECT * FROM c", feed_range=feed_range)]
        if feed_range
        else [read]
    )

    assert [read] == within


async def test_item_without_its_partition_key_property(container: ContainerProxy) -> None:
    """An item that lacks the partition key property is found under the SDK's own value for that."""
    await container.create_item({"id": "a"})

    read = await container.read_item("a", NonePartitionKeyValue)

    assert read["id"] == "a"


async def test_hierarchical_partition_key(client: CosmosClient) -> None:
    """Items of a hierarchical key are read by the whole key and queried by its prefix."""
    container = await new_container(client, ["/tenant", "/user"])
    for user in ("u1", "u2"):
        await container.create_item({"id": "a", "tenant": "t", "user": user})
    await container.create_item({"id": "a", "tenant": "other", "user": "u1"})

    read = await container.read_item("a", ["t", "u2"])
    of_tenant = [item["user"] async for item in container.query_items("SELECT * FROM c", partition_key=["t"])]

    assert read["user"] == "u2"
    assert sorted(of_tenant) == ["u1", "u2"]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_synchronous_client(cosmos: LocalCosmos) -> None:
    """The synchronous client creates what is missing, writes, reads, counts and follows the change feed."""
    with SyncClient(cosmos.service.url, cosmos.key, connection_verify=str(cosmos.ca)) as client:
        database = client.create_database_if_not_exists(DATABASE)
        name = f"c{uuid.uuid4().hex}"
        key = {"paths": ["/pk"], "kind": "Hash", "version": 2}
        container = database.create_container_if_not_exists(name, key)
        database.create_container_if_not_exists(name, key)
        container.create_item({"id": "a", "pk": "p"})

        read = container.read_item("a", "p")
        count = list(container.query_items("SELECT VALUE COUNT(1) FROM c", enable_cross_partition_query=True))
        feed = [item["id"] for item in container.query_items_change_feed(start_time="Beginning")]
        names = [one["id"] for one in database.list_containers()]

    assert read["id"] == "a"
    assert [count, feed] == [[1], ["a"]]
    assert name in names


def _charge(answer: Any) -> float:
    return float(answer.get_response_headers()["x-ms-request-charge"])
