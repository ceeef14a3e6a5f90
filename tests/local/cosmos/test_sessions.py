"""Replicas that lag: reads without a session are late by exactly the lag, reads with one are not."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.cosmos.conftest import DATABASE, LocalCosmos, listed, new_container, start_account

LAG_MS = 2500  # in which a test looks a few times, on a busy machine too
COUNT = "SELECT VALUE COUNT(1) FROM c"


@dataclass
class Lagging:
    """An account whose replicas lag; a writer's container, and the same one for a client without a session."""

    account: LocalCosmos
    mine: ContainerProxy
    other: ContainerProxy


@pytest.fixture(scope="module")
async def lagging_clients(
    tmp_path_factory: pytest.TempPathFactory, signing_key: rsa.RSAPrivateKey
) -> AsyncIterator[tuple[LocalCosmos, CosmosClient, CosmosClient]]:
    """One account with two partitions a container and two clients, each with a session of its own."""
    account = start_account(
        tmp_path_factory.mktemp("lagging"), signing_key, "--partitions", 2, "--replica-lag-ms", LAG_MS
    )
    async with account.client() as mine, account.client() as other:
        yield account, mine, other
    account.service.stop()


@pytest.fixture
async def lagging(lagging_clients: tuple[LocalCosmos, CosmosClient, CosmosClient]) -> Lagging:
    """A container of its own for a test."""
    account, mine, other = lagging_clients
    container = await new_container(mine)
    return Lagging(account, container, other.get_database_client(DATABASE).get_container_client(container.id))


async def test_own_session_sees_every_write(lagging: Lagging) -> None:
    """Read, query and change feed of the writing client see its writes at once."""
    await lagging.mine.create_item({"id": "a", "pk": "p", "n": 0})
    await lagging.mine.upsert_item({"id": "a", "pk": "p", "n": 1})

    read = await lagging.mine.read_item("a", "p")
    count = await listed(lagging.mine.query_items(f"{COUNT} WHERE c.n = 1"))
    feed = await listed(lagging.mine.query_items_change_feed(start_time="Beginning"))

    assert read["n"] == 1
    assert count == [1]
    assert [one["n"] for one in feed] == [1]


async def test_other_session_sees_the_state_of_before_until_the_lag_is_over(lagging: Lagging) -> None:
    """Another client sees nothing of a write for the whole lag, and all of it afterwards."""
    started = time.monotonic()
    await lagging.mine.create_item({"id": "a", "pk": "p"})

    with pytest.raises(CosmosResourceNotFoundError):
        await lagging.other.read_item("a", "p")
    early = await listed(lagging.other.query_items(COUNT))
    feed = await listed(lagging.other.query_items_change_feed(start_time="Beginning"))
    asked = time.monotonic() - started
    await _until(lambda: _exists(lagging.other))

    assert asked < LAG_MS / 1000
    assert time.monotonic() - started >= LAG_MS / 1000
    assert [early, feed] == [[0], []]


async def test_replaced_and_deleted_items_are_seen_as_they_were(lagging: Lagging) -> None:
    """A late reader sees the version of before a replace, and an item that has been deleted since."""
    for name in ("changed", "deleted"):
        await lagging.mine.create_item({"id": name, "pk": "p", "n": 0})
    await _until(lambda: _counted(lagging.other, 2))
    await lagging.mine.upsert_item({"id": "changed", "pk": "p", "n": 1})
    await lagging.mine.delete_item("deleted", "p")

    changed = await lagging.other.read_item("changed", "p")
    deleted = await lagging.other.read_item("deleted", "p")
    seen = await listed(lagging.other.query_items("SELECT c.id, c.n FROM c", partition_key="p"))
    feed = await listed(lagging.other.query_items_change_feed(start_time="Beginning", partition_key="p"))

    assert [changed["n"], deleted["n"]] == [0, 0]
    assert seen == [{"id": "changed", "n": 0}, {"id": "deleted", "n": 0}]
    assert [one["id"] for one in feed] == ["changed", "deleted"]


async def test_session_token_that_is_handed_over_is_sufficient(lagging: Lagging) -> None:
    """A count with the merged token of all writes sees them all, per feed range and with an older token added."""
    ranges = [one async for one in lagging.mine.read_feed_ranges()]
    tokens: list[tuple[dict[str, Any], str]] = []
    for n in range(12):
        written = await lagging.mine.create_item({"id": f"i{n}", "pk": f"p{n}"})
        feed_range = await lagging.mine.feed_range_from_partition_key(f"p{n}")
        tokens.append((feed_range, written.get_response_headers()["x-ms-session-token"]))

    counts = []
    for one in ranges:
        of_range = [each for each in tokens if await lagging.mine.is_feed_range_subset(one, each[0])]
        token = await lagging.mine.get_latest_session_token([(one, text) for _, text in of_range], one)
        counts += await listed(lagging.other.query_items(COUNT, feed_range=one, session_token=token))
    late = await listed(lagging.other.query_items(COUNT))

    assert sum(counts) == 12
    assert late == [12]  # the answers have brought the other client's own session up to date


async def test_conditional_write_meets_the_newest_state(lagging: Lagging) -> None:
    """Writes are not late: a create of an id that a late reader does not see yet conflicts."""
    await lagging.mine.create_item({"id": "a", "pk": "p"})

    with pytest.raises(CosmosHttpResponseError) as refused:
        await lagging.other.create_item({"id": "a", "pk": "p"})

    assert refused.value.status_code == 409


async def test_token_from_the_future_is_refused(lagging: Lagging) -> None:
    """A session token ahead of the partition answers 404 with substatus 1002."""
    await lagging.mine.create_item({"id": "a", "pk": "p"})

    with pytest.raises(CosmosHttpResponseError) as refused:
        await lagging.other.read_item("a", "p", session_token="0:1#999999,1:1#999999")

    assert (refused.value.status_code, refused.value.sub_status) == (404, 1002)


async def test_session_survives_a_split(lagging: Lagging) -> None:
    """A token of before a split is sufficient for the children, which keep counting where the parent was."""
    tokens = {}
    for n in range(10):
        written = await lagging.mine.create_item({"id": f"i{n}", "pk": f"p{n}"})
        tokens[n] = written.get_response_headers()["x-ms-session-token"]
    lagging.account.split(lagging.mine, "0")

    handed_over = [
        (await lagging.other.read_item(f"i{n}", f"p{n}", session_token=token))["id"] for n, token in tokens.items()
    ]
    own = [(await lagging.mine.read_item(f"i{n}", f"p{n}"))["id"] for n in tokens]

    assert {token.partition(":")[0] for token in tokens.values()} == {"0", "1"}
    assert handed_over == own == [f"i{n}" for n in range(10)]


async def test_lag_is_changed_at_run_time(lagging: Lagging) -> None:
    """Without a lag every reader sees everything at once; with one again, it is late again."""
    lagging.account.post("settings", replicaLagMs=0)
    await lagging.mine.create_item({"id": "a", "pk": "p"})
    at_once = await lagging.other.read_item("a", "p")
    lagging.account.post("settings", replicaLagMs=LAG_MS)

    await lagging.mine.create_item({"id": "b", "pk": "p"})

    with pytest.raises(CosmosResourceNotFoundError):
        await lagging.other.read_item("b", "p")
    assert at_once["id"] == "a"


async def _exists(container: ContainerProxy) -> bool:
    try:
        await container.read_item("a", "p")
    except CosmosResourceNotFoundError:
        return False
    return True


async def _counted(container: ContainerProxy, expected: int) -> bool:
    return await listed(container.query_items(COUNT)) == [expected]


async def _until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - the condition is the service's, which signals nothing
            await asyncio.sleep(0.02)
