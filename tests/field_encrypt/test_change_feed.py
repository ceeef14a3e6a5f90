"""Reading the change feed from now on; reading it from the beginning is tested where a sweep does it."""

import asyncio
import uuid

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt.change_feed import list_feed_ranges, read_feed_page
from field_encrypt.errors import LostFeedPositionError
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container

WHOLE = '{"Range":{"isMaxInclusive":false,"isMinInclusive":true,"max":"FF","min":""}}'


async def fill(container: ContainerProxy, count: int) -> set[str]:
    """Create items and return their ids."""
    ids = {str(uuid.uuid4()) for _ in range(count)}
    await asyncio.gather(*(container.create_item({"id": found}) for found in ids))
    return ids


async def drain(container: ContainerProxy, feed_range: str, cursor: str | None) -> tuple[set[str], str]:
    """Read on until the range is drained."""
    seen: set[str] = set()
    while True:
        page = await read_feed_page(container, feed_range, cursor, start="Now", max_items=3)
        seen |= {item["id"] for item in page.items}
        cursor = page.cursor
        if page.drained:
            return seen, cursor


@pytest.mark.parametrize("empty_pages", [0, 2])
@pytest.mark.parametrize("whole", [False, True])
async def test_now_gives_what_comes_after_and_nothing_before(
    cosmos_client: CosmosClient, cosmos: LocalCosmos, *, whole: bool, empty_pages: int
) -> None:
    """A place that is taken now misses nothing later, in one partition or over several, behind empty pages too."""
    container = await new_container(cosmos_client, "deks")
    await fill(container, 10)
    ranges = [WHOLE] if whole else await list_feed_ranges(container)
    started = {found: await drain(container, found, None) for found in ranges}
    later = await fill(container, 20)
    if empty_pages:
        cosmos.fault(operation="change_feed", kind="empty_page", count=empty_pages)

    ended = {found: await drain(container, found, cursor) for found, (_, cursor) in started.items()}

    assert [set()] * len(ranges) == [seen for seen, _ in started.values()]
    assert set().union(*(seen for seen, _ in ended.values())) == later


async def test_split_after_the_place_was_taken_loses_nothing(cosmos_client: CosmosClient, cosmos: LocalCosmos) -> None:
    """A place in a partition that was split goes on in both of its children."""
    container = await new_container(cosmos_client, "deks")
    started = {found: await drain(container, found, None) for found in await list_feed_ranges(container)}
    before = await fill(container, 20)
    cosmos.split(container.id, "0")
    after = await fill(container, 20)

    seen = [(await drain(container, found, cursor))[0] for found, (_, cursor) in started.items()]

    assert set().union(*seen) == before | after


async def test_place_in_a_container_that_was_made_anew_is_lost(cosmos_client: CosmosClient) -> None:
    """The cursor of another container is refused as lost, not read from somewhere."""
    first, second = [await new_container(cosmos_client, "deks") for _ in range(2)]
    feed_range = (await list_feed_ranges(first))[0]
    _, cursor = await drain(first, feed_range, None)

    with pytest.raises(LostFeedPositionError):
        await read_feed_page(second, feed_range, cursor, start="Now", max_items=3)
