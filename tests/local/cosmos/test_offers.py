"""Throughput offers, the physical partitions that follow from them, and queries of what is no item."""

import uuid
from typing import Any

import pytest
import requests
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.cosmos.conftest import (
    DATABASE,
    INCREMENTAL,
    SECONDS,
    LocalCosmos,
    Wire,
    listed,
    new_container,
    start_account,
)

EVERYTHING = ("Microsoft.DocumentDB/databaseAccounts/*",)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory, signing_key: rsa.RSAPrivateKey) -> Any:
    """An account whose containers begin with one partition."""
    account = start_account(tmp_path_factory.mktemp("single"), signing_key)
    yield account
    account.service.stop()


@pytest.fixture
async def single_client(single: LocalCosmos) -> Any:
    """The master key's client of that account."""
    async with single.client() as client:
        yield client


async def container_of(client: CosmosClient, throughput: int | ThroughputProperties | None) -> ContainerProxy:
    """Create a container with an offer."""
    database = await client.create_database_if_not_exists(DATABASE)
    return await database.create_container(f"c{uuid.uuid4().hex}", PartitionKey("/pk"), offer_throughput=throughput)


def delete(account: LocalCosmos, container: str) -> None:
    """Delete a container as the local resource manager does."""
    url = f"{account.service.url}/_control/containers"
    body: dict[str, Any] = {"database": DATABASE, "resource": {"id": container}}
    requests.delete(url, json=body, verify=str(account.ca), timeout=SECONDS).raise_for_status()


async def offers(client: CosmosClient) -> list[Any]:
    """Return every offer of the account."""
    return await listed(client.client_connection.QueryOffers("SELECT * FROM c"))


async def ranges_of(container: ContainerProxy) -> int:
    """Return how many partitions serve the container."""
    return len(await listed(container.read_feed_ranges(force_refresh=True)))


@pytest.mark.parametrize(("throughput", "partitions"), [(None, 1), (400, 1), (10_000, 1), (11_000, 2), (30_000, 5)])
async def test_a_container_begins_with_the_partitions_of_its_offer(
    single_client: CosmosClient, throughput: int | None, partitions: int
) -> None:
    """Up to 10,000 RU/s are one partition, more are one for each 6,000; without an offer there are 400."""
    container = await container_of(single_client, throughput)

    assert await ranges_of(container) == partitions
    assert (await container.get_throughput()).offer_throughput == (throughput or 400)


async def test_a_larger_offer_splits(single_client: CosmosClient) -> None:
    """As many partitions as the new throughput needs take over the items; a smaller offer merges nothing."""
    container = await container_of(single_client, 400)
    for number in range(20):
        await container.create_item({"id": str(number), "pk": str(number)})

    await container.replace_throughput(25_000)
    grown = await ranges_of(container)
    await container.replace_throughput(400)

    assert grown == await ranges_of(container) == 3
    assert len(await listed(container.read_all_items())) == 20
    assert (await container.get_throughput()).offer_throughput == 400


async def test_autoscale_counts_by_its_maximum(single_client: CosmosClient) -> None:
    """The settings come back as they were given."""
    container = await container_of(single_client, ThroughputProperties(auto_scale_max_throughput=12_000))

    offer = await container.get_throughput()

    assert (offer.auto_scale_max_throughput, offer.offer_throughput) == (12_000, None)
    assert await ranges_of(container) == 2


async def test_what_is_deleted_has_no_offer(single: LocalCosmos, single_client: CosmosClient) -> None:
    """An offer does not outlive its container."""
    container = await container_of(single_client, 400)
    database = single_client.get_database_client(DATABASE)
    before = len(await offers(single_client))

    delete(single, container.id)

    assert len(await offers(single_client)) == before - 1
    assert container.id not in [one["id"] async for one in database.list_containers()]


@pytest.mark.parametrize(
    ("throughput", "text"),
    [
        (300, "less than required minimum throughput 400"),
        (450, "increments of 100"),
        (2_000_000, "more than 1000000"),
        (ThroughputProperties(auto_scale_max_throughput=500), "less than required minimum throughput 1000"),
    ],
)
async def test_a_throughput_that_is_not_sold_makes_nothing(
    single_client: CosmosClient, throughput: int | ThroughputProperties, text: str
) -> None:
    """400 says what is wrong, of a new container as of one that there is."""
    container = await container_of(single_client, None)
    database = single_client.get_database_client(DATABASE)
    before = len(await listed(database.list_containers()))

    with pytest.raises(CosmosHttpResponseError, match=text):
        await container_of(single_client, throughput)
    if isinstance(throughput, int):
        with pytest.raises(CosmosHttpResponseError, match=text):
            await container.replace_throughput(throughput)

    assert len(await listed(database.list_containers())) == before


async def test_containers_share_the_offer_of_their_database(single: LocalCosmos, single_client: CosmosClient) -> None:
    """A database's offer survives a restart; a container in it has none unless it is given one."""
    database = await single_client.create_database(f"d{uuid.uuid4().hex}", offer_throughput=1_000)
    sharing = await database.create_container("sharing", PartitionKey("/pk"))
    own = await database.create_container("own", PartitionKey("/pk"), offer_throughput=500)
    single.service.stop()
    single.service.start()

    assert (await database.get_throughput()).offer_throughput == 1_000
    assert (await own.get_throughput()).offer_throughput == 500
    assert (await sharing.read())["_self"] not in {offer["resource"] for offer in await offers(single_client)}


async def test_databases_and_containers_are_found_by_queries(single_client: CosmosClient) -> None:
    """Parameters and literals, and nothing for what does not exist."""
    container = await container_of(single_client, None)
    database = single_client.get_database_client(DATABASE)
    by_id = "SELECT * FROM root r WHERE r.id=@id"

    databases = single_client.query_databases(query=by_id, parameters=[{"name": "@id", "value": DATABASE}])
    containers = database.query_containers(query=by_id, parameters=[{"name": "@id", "value": container.id}])
    none = database.query_containers(query='SELECT * FROM root r WHERE r.id="nothing"')

    assert [one["id"] for one in await listed(databases)] == [DATABASE]
    assert [one["id"] for one in await listed(containers)] == [container.id]
    assert await listed(none) == []


async def test_a_feed_of_one_partition_needs_no_range(single: LocalCosmos, single_client: CosmosClient) -> None:
    """The SDK sends nothing of its deprecated partition_key_range_id: a container of one partition is meant whole."""
    container = await container_of(single_client, None)
    await container.create_item({"id": "a", "pk": "a"})

    answer = Wire(single, container).ask("GET", "/docs", INCREMENTAL)

    assert [item["id"] for item in answer.json()["Documents"]] == ["a"]


async def test_offers_are_for_the_master_key(cosmos: LocalCosmos, client: CosmosClient) -> None:
    """No token reads or changes throughput, whatever its roles."""
    container = await new_container(client)

    async with cosmos.client_of(*EVERYTHING) as limited:
        theirs = limited.get_database_client(DATABASE).get_container_client(container.id)
        with pytest.raises(CosmosHttpResponseError) as caught:
            await theirs.get_throughput()

    assert (caught.value.status_code, caught.value.sub_status) == (403, 5300)
