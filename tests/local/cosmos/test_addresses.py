"""Resources by their resource ids, and the headers by which an answer tells where its partition stands."""

from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError

from tests.local.cosmos.conftest import DATABASE, LocalCosmos, listed

LSN = "lsn"
ITEM_LSN = "x-ms-item-lsn"


async def test_item_is_read_replaced_and_deleted_by_its_self_link(container: ContainerProxy) -> None:
    """The SDK addresses an item that it is given as a whole by its ``_self``."""
    created = await container.create_item({"id": "a", "pk": "p", "n": 1})

    read = await container.read_item(created, "p")
    replaced = await container.replace_item(read, {**read, "n": 2})
    patched = await container.patch_item(read, "p", [{"op": "incr", "path": "/n", "value": 1}])
    await container.delete_item(read, "p")

    assert created == read
    assert [replaced["n"], patched["n"]] == [2, 3]
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read_item(created, "p")


async def test_database_and_container_are_found_by_their_self_links(
    client: CosmosClient, container: ContainerProxy
) -> None:
    """Database and container are served by resource ids alone."""
    properties = await container.read()
    connection = client.client_connection

    database = await connection.ReadDatabase(properties["_self"].split("/colls/")[0] + "/")
    by_rid = await connection.ReadContainer(properties["_self"])

    assert database["id"] == DATABASE
    assert by_rid == properties


async def test_resource_ids_that_name_nothing_are_not_found(client: CosmosClient, container: ContainerProxy) -> None:
    """A resource id of an item, a container or a database that does not exist answers 404."""
    created = await container.create_item({"id": "a", "pk": "p"})
    await container.delete_item("a", "p")
    database, _, rest = created["_self"].partition("/colls/")
    connection = client.client_connection

    for link, read in (
        (created["_self"], connection.ReadItem),
        (f"{database}/colls/{rest[:4]}AAAAAAA=/", connection.ReadContainer),
        ("dbs/AAAAAA==/", connection.ReadDatabase),
    ):
        with pytest.raises(CosmosResourceNotFoundError):
            await read(link, {"partitionKey": "p"})


async def test_right_to_a_container_holds_for_its_resource_id(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """A principal that may read one container may read it by ids too, and no other one by them."""
    created = await container.create_item({"id": "a", "pk": "p"})
    read = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read"
    metadata = "Microsoft.DocumentDB/databaseAccounts/readMetadata"
    here = f"dbs/{DATABASE}/colls/{container.id}"
    async with cosmos.client_of(metadata, f"{read}@{here}") as mine, cosmos.client_of(metadata, f"{read}@x") as other:
        proxies = [one.get_database_client(DATABASE).get_container_client(container.id) for one in (mine, other)]
        allowed = await proxies[0].read_item(created, "p")
        with pytest.raises(CosmosHttpResponseError) as refused:
            await proxies[1].read_item(created, "p")

    assert allowed == created
    assert (refused.value.status_code, refused.value.sub_status) == (403, 5301)


async def test_every_commit_raises_the_lsn_by_one(container: ContainerProxy) -> None:
    """A write's answer has its own lsn, a batch's one for all, a read's that of the partition and of the item."""
    created = _headers(await container.create_item({"id": "a", "pk": "p"}))
    batch: Any = await container.execute_item_batch(
        [("upsert", ({"id": "b", "pk": "p"},)), ("delete", ("b",)), ("read", ("a",))], "p"
    )
    replaced = _headers(await container.upsert_item({"id": "c", "pk": "p"}))
    read = _headers(await container.read_item("a", "p"))

    first = int(created[LSN])

    assert [int(one[LSN]) for one in (created, batch.get_response_headers(), replaced, read)] == [
        first, first + 1, first + 2, first + 2,
    ]  # fmt: skip
    assert [created[ITEM_LSN], replaced[ITEM_LSN], read[ITEM_LSN]] == [str(first), str(first + 2), str(first)]
    assert read["x-ms-global-committed-lsn"] == read[LSN]


async def test_query_metrics_come_when_they_are_asked_for(container: ContainerProxy) -> None:
    """Metrics tell what was loaded and returned; a count is served by the index; without a question there are none."""
    for n in range(4):
        await container.create_item({"id": f"i{n}", "pk": "p", "n": n})

    some = await _metrics(container, "SELECT * FROM c WHERE c.n < 2", populate_query_metrics=True)
    count = await _metrics(container, "SELECT VALUE COUNT(1) FROM c", populate_query_metrics=True)
    without = await _metrics(container, "SELECT * FROM c", populate_query_metrics=False)

    assert [some["retrievedDocumentCount"], some["outputDocumentCount"]] == ["4", "2"]
    assert [count["retrievedDocumentCount"], count["retrievedDocumentSize"]] == ["0", "0"]
    assert float(count["indexUtilizationRatio"]) == 1
    assert without == {}


async def _metrics(container: ContainerProxy, query: str, *, populate_query_metrics: bool) -> dict[str, str]:
    found: dict[str, str] = {}

    def note(headers: Any, _result: Any) -> None:
        text = headers.get("x-ms-documentdb-query-metrics", "")
        found.update(part.split("=", 1) for part in text.split(";") if part)

    await listed(
        container.query_items(
            query, partition_key="p", populate_query_metrics=populate_query_metrics, response_hook=note
        )
    )
    return found


def _headers(answer: Any) -> dict[str, str]:
    return dict(answer.get_response_headers())
