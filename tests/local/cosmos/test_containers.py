"""What containers are made with: policies, keys of every kind, names, and what may change of it later."""

import uuid
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError, CosmosResourceNotFoundError

from tests.local.cosmos.conftest import DATABASE, LocalCosmos, listed, new_container

ETAG_PATH = {"path": '/"_etag"/?'}
DEFAULT_POLICY = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [ETAG_PATH],
}
PK = PartitionKey(path="/pk")
TEXT = {"kind": "Hash", "dataType": "String"}


@pytest.fixture
async def database(client: CosmosClient) -> DatabaseProxy:
    """The database that all tests share."""
    return await client.create_database_if_not_exists(DATABASE)


def new_name() -> str:
    """Return a name that no other container has."""
    return f"c{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, DEFAULT_POLICY),
        ({}, DEFAULT_POLICY),
        ({"includedPaths": [{"path": "/*", "indexes": [TEXT]}]}, DEFAULT_POLICY),
        (
            {"includedPaths": [{"path": "/a/?"}], "excludedPaths": [{"path": "/*"}]},
            {**DEFAULT_POLICY, "includedPaths": [{"path": "/a/?"}], "excludedPaths": [{"path": "/*"}, ETAG_PATH]},
        ),
        (
            {"compositeIndexes": [[{"path": "/a", "order": "ascending"}, {"path": "/b", "order": "descending"}]]},
            {
                **DEFAULT_POLICY,
                "compositeIndexes": [[{"path": "/a", "order": "ascending"}, {"path": "/b", "order": "descending"}]],
            },
        ),
        (
            {"indexingMode": "none", "automatic": False},
            {"indexingMode": "none", "automatic": False, "includedPaths": [], "excludedPaths": []},
        ),
    ],
)
async def test_indexing_policy_is_kept_with_the_defaults_of_the_service(
    database: DatabaseProxy, given: dict[str, Any] | None, kept: dict[str, Any]
) -> None:
    """What was left out of a policy gets the service's default, and the ETag is never indexed."""
    policy: dict[str, Any] = {} if given is None else {"indexing_policy": given}
    container = await database.create_container(new_name(), PK, **policy)

    properties = await container.read()

    assert properties["indexingPolicy"] == kept
    assert properties["uniqueKeyPolicy"] == {"uniqueKeys": []}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"indexing_policy": {"indexingMode": "eager"}}, "indexingMode"),
        ({"indexing_policy": {"indexingMode": "none", "automatic": True}}, "automatic"),
        ({"indexing_policy": {"includedPaths": [{"path": "/a/?"}]}}, "root path"),
        ({"indexing_policy": {"excludedPaths": [{"path": "a"}]}}, "excludedPaths"),
        ({"default_ttl": 0}, "defaultTtl"),
        ({"default_ttl": -10}, "defaultTtl"),
        ({"default_ttl": 2**31}, "defaultTtl"),
        ({"unique_key_policy": {"uniqueKeys": [{"paths": []}]}}, "uniqueKeys"),
        ({"unique_key_policy": {"uniqueKeys": [{"paths": ["/a"]}] * 11}}, "uniqueKeys"),
        ({"partition_key": PartitionKey(path=["/a", "/b", "/c", "/d"])}, "Too many partition key paths"),
        ({"partition_key": PartitionKey(path="/a", version=3)}, "version"),
        ({"partition_key": PartitionKey(path='/"a')}, "path"),
        ({"id": "x" * 256}, "less than '255' characters"),
    ],
)
async def test_container_that_the_service_refuses(database: DatabaseProxy, options: dict[str, Any], named: str) -> None:
    """A definition that cannot be is refused with 400, which names what is wrong with it."""
    with pytest.raises(CosmosHttpResponseError) as refused:
        await database.create_container(**{"id": new_name(), "partition_key": PK, **options})

    assert refused.value.status_code == 400
    assert named in str(refused.value)


async def test_definition_is_looked_at_before_the_name(database: DatabaseProxy, container: ContainerProxy) -> None:
    """A definition that cannot be is refused with 400 for a name that is taken too; a good one is a conflict."""
    with pytest.raises(CosmosHttpResponseError) as refused:
        await database.create_container(container.id, PartitionKey(path=["/a", "/b", "/c", "/d"]))
    with pytest.raises(CosmosResourceExistsError):
        await database.create_container(container.id, PK)

    assert refused.value.status_code == 400


async def test_replace_changes_policies_and_nothing_else(database: DatabaseProxy) -> None:
    """Indexing policy and time to live can be replaced, keys cannot; items and _rid stay."""
    container = await database.create_container(new_name(), PK, default_ttl=10)
    await container.create_item({"id": "a", "pk": "p"})
    before = await container.read()

    excluded: dict[str, Any] = {"indexingMode": "consistent", "excludedPaths": [{"path": "/secret/*"}]}
    await database.replace_container(container, PK, indexing_policy=excluded)
    with pytest.raises(CosmosHttpResponseError) as refused:
        await database.replace_container(container, PartitionKey(path="/other"))
    after = await container.read()

    assert refused.value.status_code == 400
    assert after["indexingPolicy"]["excludedPaths"] == [{"path": "/secret/*"}, ETAG_PATH]
    assert "defaultTtl" not in after
    assert [before["_rid"], before["_etag"] == after["_etag"]] == [after["_rid"], False]
    assert (await container.read_item("a", "p"))["id"] == "a"


async def test_deleted_container_and_database_are_gone(client: CosmosClient) -> None:
    """The holder of the master key deletes a container, and a database with what it has."""
    name = f"d{uuid.uuid4().hex}"
    database = await client.create_database(name)
    first, second = [await database.create_container(new_name(), PK) for _ in range(2)]
    await second.create_item({"id": "a", "pk": "p"})

    await database.delete_container(first)
    with pytest.raises(CosmosResourceNotFoundError):
        await first.read()
    await client.delete_database(name)

    with pytest.raises(CosmosResourceNotFoundError):
        await second.read()
    assert name not in [one["id"] async for one in client.list_databases()]


async def test_container_has_no_conflicts(container: ContainerProxy) -> None:
    """With one region for writes there are none to list, to query, to read or to delete."""
    found = [await listed(container.list_conflicts()), await listed(container.query_conflicts("SELECT * FROM c"))]

    assert found == [[], []]
    for attempt in (container.get_conflict("a", "p"), container.delete_conflict("a", "p")):
        with pytest.raises(CosmosResourceNotFoundError):
            await attempt


async def test_all_items_of_a_partition_key_are_deleted(container: ContainerProxy) -> None:
    """What has the partition key is gone, and nothing else."""
    for name, key in (("a", "p"), ("b", "p"), ("a", "q")):
        await container.create_item({"id": name, "pk": key})

    await container.delete_all_items_by_partition_key("p")

    assert [one["pk"] for one in await listed(container.read_all_items())] == ["q"]


async def test_token_may_neither_delete_nor_replace(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """What is under a container belongs to the control plane: no access token may do it."""
    async with cosmos.client_of("*") as client:
        database = client.get_database_client(DATABASE)
        for attempt in (
            client.delete_database(DATABASE),
            database.delete_container(container.id),
            database.replace_container(container.id, PK),
        ):
            with pytest.raises(CosmosHttpResponseError) as refused:
                await attempt
            assert (refused.value.status_code, refused.value.sub_status) == (403, 5300)


async def test_usage_and_statistics_come_when_they_are_asked_for(container: ContainerProxy) -> None:
    """A container's read tells the number of its items and its partitions to those who ask."""
    await container.create_item({"id": "a", "pk": "p"})

    asked = await container.read(populate_quota_info=True, populate_partition_key_range_statistics=True)
    plain = await container.read()

    assert "documentsCount=1;" in asked.get_response_headers()["x-ms-resource-usage"]
    assert "x-ms-resource-quota" in asked.get_response_headers()
    assert [one["id"] for one in asked["statistics"]] == ["0", "1", "2"]
    assert "x-ms-resource-usage" not in plain.get_response_headers()


async def test_unique_keys_hold_within_a_partition_key(database: DatabaseProxy) -> None:
    """A second item with the same values is a conflict; an absent value counts as null, and is taken once."""
    policy: dict[str, Any] = {"uniqueKeys": [{"paths": ["/mail", "/name/first"]}]}
    container = await database.create_container(new_name(), PK, unique_key_policy=policy)
    taken = {"id": "a", "pk": "p", "mail": "m", "name": {"first": "f"}}
    await container.create_item(taken)
    await container.create_item({"id": "b", "pk": "p", "mail": "m"})
    await container.create_item({**taken, "id": "c", "pk": "q"})
    await container.upsert_item({**taken, "n": 1})

    for attempt in (
        container.create_item({**taken, "id": "d"}),
        container.create_item({"id": "d", "pk": "p", "mail": "m", "name": {"first": None}}),
        container.upsert_item({**taken, "id": "d"}),
        container.replace_item("b", {**taken, "id": "b"}),
        container.patch_item("b", "p", [{"op": "add", "path": "/name", "value": {"first": "f"}}]),
    ):
        with pytest.raises(CosmosResourceExistsError):
            await attempt
    assert len(await listed(container.query_items("SELECT * FROM c", partition_key="p"))) == 2


@pytest.mark.parametrize("path", ['/"a/b"/"c d"', "/'a/b'/'c d'"])
async def test_quoted_partition_key_path_may_hold_a_slash(client: CosmosClient, path: str) -> None:
    """A name in quotes is one step of the path, whatever is in it."""
    container = await new_container(client, path)
    await container.create_item({"id": "a", "a/b": {"c d": "p"}})

    assert (await container.read_item("a", "p"))["id"] == "a"


async def test_partition_key_of_version_one(database: DatabaseProxy) -> None:
    """The first version of the hash is served, over several partitions; it tells texts apart by 100 characters."""
    container = await database.create_container(new_name(), PartitionKey(path="/pk", version=1))
    keys = [f"key {n}" for n in range(12)] + [None, 7]
    for key in keys:
        await container.create_item({"id": "a", "pk": key})

    read = [(await container.read_item("a", key))["pk"] for key in keys]
    counts = [
        await listed(container.query_items("SELECT VALUE COUNT(1) FROM c", feed_range=one))
        async for one in container.read_feed_ranges()
    ]

    of_one = await listed(
        container.query_items("SELECT * FROM c", feed_range=await container.feed_range_from_partition_key("key 3"))
    )

    assert read == keys
    assert [one["pk"] for one in of_one] == ["key 3"]
    assert [len(counts), sum(count for (count,) in counts)] == [3, 14]
    await container.create_item({"id": "a", "pk": "x" * 2048})
    with pytest.raises(CosmosResourceExistsError):
        await container.create_item({"id": "a", "pk": "x" * 100})


async def test_absent_component_of_a_hierarchical_key_is_not_null(client: CosmosClient) -> None:
    """The SDK writes an absent component as null, which is another key: 400 with substatus 1001, as for a prefix."""
    container = await new_container(client, ["/tenant", "/user"])
    await container.create_item({"id": "null", "tenant": "t", "user": None})

    for attempt in (
        container.create_item({"id": "a", "tenant": "t"}),
        container.read_item("null", ["t"]),
        container.delete_item("null", ["t"]),
    ):
        with pytest.raises(CosmosHttpResponseError) as refused:
            await attempt
        assert (refused.value.status_code, refused.value.sub_status) == (400, 1001)
