"""The change feed through the SDK: every item once, own writes at the tail, 304 at the end, splits survived."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.local.cosmos.conftest import LocalCosmos


@dataclass
class Drained:
    """What reading a feed to its end gave: items, the continuation at the end, and how each answer looked."""

    items: list[dict[str, Any]] = field(default_factory=list)
    continuation: str | None = None
    answers: list[str] = field(default_factory=list)

    def heard(self, headers: Mapping[str, Any], result: Mapping[str, Any] | None) -> None:
        """Take note of one answer: None is a 304."""
        self.headers = headers
        documents = None if result is None else len(result["Documents"])
        self.answers.append("304" if documents is None else f"{documents} items")

    @property
    def ids(self) -> list[str]:
        """The ids of the items in the order of the feed."""
        return [item["id"] for item in self.items]


async def drain(container: ContainerProxy, continuation: str | None = None, **arguments: Any) -> Drained:
    """Read the feed from the beginning, or on from a continuation, until a page is empty."""
    drained = Drained()
    if continuation is not None:
        arguments = {
            "continuation": continuation,
            **{name: value for name, value in arguments.items() if "max" in name},
        }
    else:
        arguments = {"start_time": "Beginning", **arguments}
    pager = container.query_items_change_feed(response_hook=drained.heard, **arguments).by_page()
    async for page in pager:
        drained.items += [item async for item in page]
    drained.continuation = drained.headers["etag"]
    return drained


async def fill(container: ContainerProxy, count: int) -> list[str]:
    """Create items with a partition key each, and return their ids."""
    names = [f"item{index}" for index in range(count)]
    for name in names:
        await container.create_item({"id": name, "pk": name})
    return names


async def test_feed_ranges_cover_every_item_once(container: ContainerProxy) -> None:
    """There is a feed range for each physical partition, and together they give every item exactly once."""
    names = await fill(container, 30)
    ranges = [one async for one in container.read_feed_ranges()]

    drained = [await drain(container, feed_range=one, max_item_count=4) for one in ranges]

    assert len(ranges) == 3
    assert sorted(names) == sorted(name for one in drained for name in one.ids)
    assert all(one.ids for one in drained)
    assert all(one.answers[-1] == "304" for one in drained)


async def test_whole_container_is_read_without_a_feed_range(container: ContainerProxy) -> None:
    """Without a feed range the client walks through all partitions."""
    names = await fill(container, 12)

    drained = await drain(container, max_item_count=2)

    assert sorted(names) == sorted(drained.ids)


async def test_order_follows_changes_and_only_the_latest_version_is_there(container: ContainerProxy) -> None:
    """A changed item moves to the tail with its newest version; a deleted one is absent."""
    for name in "abcd":
        await container.create_item({"id": name, "pk": "p", "n": 0})
    await container.upsert_item({"id": "a", "pk": "p", "n": 1})
    await container.delete_item("c", "p")

    drained = await drain(container, partition_key="p")

    assert drained.ids == ["b", "d", "a"]
    assert drained.items[-1]["n"] == 1
    assert [item["_lsn"] for item in drained.items] == sorted(item["_lsn"] for item in drained.items)


async def test_own_writes_come_back_at_the_tail_while_paging(container: ContainerProxy) -> None:
    """A reader that rewrites what it reads meets its own writes at the end, and then 304."""
    for name in "abc":
        await container.create_item({"id": name, "pk": "p", "n": 0})
    seen = []

    pager = container.query_items_change_feed(start_time="Beginning", partition_key="p", max_item_count=1).by_page()
    async for page in pager:
        async for item in page:
            seen.append((item["id"], item["n"]))
            if item["n"] == 0:
                await container.replace_item(item["id"], {**item, "n": 1})

    assert seen == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 1)]


async def test_continuation_goes_on_where_it_was(container: ContainerProxy) -> None:
    """A continuation from the end gives 304 until something changes, and then only what changed."""
    await fill(container, 5)
    (whole,) = [await drain(container, feed_range=(await _ranges(container))[0])]
    quiet = await drain(container, whole.continuation)
    for name in (item["id"] for item in whole.items[:1]):
        await container.upsert_item({"id": name, "pk": name, "n": 1})

    changed = await drain(container, quiet.continuation)

    assert quiet.answers == ["304"]
    assert whole.ids[:1] == changed.ids


async def test_start_at_a_time_gives_the_changes_since(container: ContainerProxy) -> None:
    """A feed that starts at a second holds what was changed in that second, one that starts at the next does not."""
    changed = await container.create_item({"id": "changed", "pk": "p"})
    second = datetime.fromtimestamp(changed["_ts"], UTC)

    since = await drain(container, start_time=second, partition_key="p")
    later = await drain(container, start_time=second + timedelta(seconds=1), partition_key="p")

    assert (since.ids, later.ids) == (["changed"], [])
    assert set(later.answers) == {"304"}


async def test_start_from_now_gives_only_later_changes(container: ContainerProxy) -> None:
    """A feed that starts now is empty with 304, and its continuation gives what is written later."""
    await container.create_item({"id": "before", "pk": "p"})
    now = await drain(container, start_time="Now", partition_key="p")
    await container.create_item({"id": "after", "pk": "p"})

    later = await drain(container, now.continuation)

    assert now.answers == ["304"]
    assert later.ids == ["after"]


async def test_empty_page_is_not_the_end(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """An empty 200 page stops the SDK's pager, but its continuation goes on to all items."""
    await container.create_item({"id": "a", "pk": "p"})
    cosmos.arm(kind="empty_page", operation="change_feed", match=container.id)

    stopped = await drain(container, partition_key="p")
    resumed = await drain(container, stopped.continuation)

    assert stopped.answers == ["0 items"]
    assert resumed.ids == ["a"]
    assert resumed.answers == ["1 items", "304"]


async def test_batch_is_never_split_between_pages(container: ContainerProxy) -> None:
    """All changes of one transaction come in one page, whatever the page size asked for."""
    await container.execute_item_batch([("create", ({"id": name, "pk": "p"},)) for name in "abc"], "p")

    drained = await drain(container, partition_key="p", max_item_count=1)

    assert drained.answers == ["3 items", "304"]


async def test_split_in_the_middle_loses_nothing(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """A reader that meets a split goes on with the children from where it was, without a loss or a repeat."""
    await fill(container, 40)
    feed_range = (await _ranges(container))[0]
    expected = (await drain(container, feed_range=feed_range)).ids
    pager = container.query_items_change_feed(start_time="Beginning", feed_range=feed_range, max_item_count=3).by_page()
    seen = [item["id"] async for item in await anext(pager)]

    children = cosmos.split(container, "0")
    async for page in pager:
        seen += [item["id"] async for item in page]
    ranges = await _ranges(container, force_refresh=True)

    assert sorted(seen) == sorted(expected)
    assert children == ["3", "4"]
    assert len(ranges) == 4


async def test_continuation_of_before_a_split_goes_on_after_it(cosmos: LocalCosmos, container: ContainerProxy) -> None:
    """A stored continuation stays good: after the split it gives only what changed since."""
    names = await fill(container, 20)
    feed_range = (await _ranges(container))[1]
    before = await drain(container, feed_range=feed_range)
    cosmos.split(container, "1")
    for name in names:
        await container.upsert_item({"id": name, "pk": name, "n": 1})

    after = await drain(container, before.continuation)

    assert sorted(before.ids) == sorted(after.ids)


async def test_unsupported_modes_are_refused(container: ContainerProxy) -> None:
    """All versions and deletes is refused by name instead of being served wrongly."""
    with pytest.raises(CosmosHttpResponseError, match="Full-Fidelity") as refused:
        await drain(container, start_time="Now", mode="AllVersionsAndDeletes")

    assert refused.value.status_code == 400


async def _ranges(container: ContainerProxy, **arguments: Any) -> list[dict[str, Any]]:
    return [one async for one in container.read_feed_ranges(**arguments)]
