"""The change feed, page by page, with everything that may stand between its beginning and its end."""

import asyncio
import json
from typing import Any

import pytest

from field_encrypt.change_feed import FeedPage
from keyturn.cosmos.client import list_feed_ranges, read_feed_page
from keyturn.errors import PermissionMissingError, UnavailableError
from tests.keyturn.local_keyring import LocalKeyring

WHOLE = json.dumps({"Range": {"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}})


def ids(items: list[dict[str, Any]]) -> list[str]:
    """Return the items' ids."""
    return [item["id"] for item in items]


async def drain(
    local_keyring: LocalKeyring, feed_range: str, cursor: str | None, max_items: int
) -> tuple[list[str], str]:
    """Read on until the range is drained, and return what was seen and where the feed goes on."""
    seen: list[str] = []
    while True:
        page = await read_feed_page(local_keyring.container, feed_range, cursor, max_items)
        seen += ids(page.items)
        cursor = page.cursor
        if page.drained:
            return seen, cursor


async def test_every_row_is_found_once_over_all_ranges(local_keyring: LocalKeyring) -> None:
    """The ranges' pages together hold every row exactly once."""
    expected = await local_keyring.fill(40)

    seen = [
        row
        for found in await list_feed_ranges(local_keyring.container)
        for row in (await drain(local_keyring, found, None, 7))[0]
    ]

    assert sorted(seen) == sorted(expected)


async def test_ranges_are_listed_in_the_order_of_their_keys(local_keyring: LocalKeyring) -> None:
    """The ranges follow each other from the lowest key to the highest, after a split too."""
    local_keyring.split("0")

    ranges = [json.loads(found)["Range"] for found in await list_feed_ranges(local_keyring.container)]

    assert ["", *(found["max"] for found in ranges)] == [*(found["min"] for found in ranges), "FF"]
    assert len(ranges) == 3


async def test_a_drained_feed_goes_on_from_its_end(local_keyring: LocalKeyring) -> None:
    """What is written after the feed was drained is all that is found from its cursor on, a changed row included."""
    first = (await list_feed_ranges(local_keyring.container))[0]
    seen, cursor = await drain(local_keyring, first, None, 5)
    await local_keyring.fill(20)
    seen, cursor = await drain(local_keyring, first, cursor, 5)

    await local_keyring.container.patch_item(seen[0], seen[0], [{"op": "set", "path": "/x", "value": 1}])

    assert ([seen[0]], cursor) != await drain(local_keyring, first, cursor, 5)
    assert [seen[0]] == (await drain(local_keyring, first, cursor, 5))[0]


async def test_an_empty_store_is_drained_at_once(local_keyring: LocalKeyring) -> None:
    """The feed of an empty range is drained, and what comes later is found from its cursor."""
    first = (await list_feed_ranges(local_keyring.container))[0]

    page = await read_feed_page(local_keyring.container, first, None, 10)
    await local_keyring.fill(10)
    seen, _ = await drain(local_keyring, first, page.cursor, 10)

    assert FeedPage([], page.cursor, drained=True) == page
    assert seen


@pytest.mark.parametrize("at", [0, 1, 3])
async def test_an_empty_page_is_not_the_end(local_keyring: LocalKeyring, at: int) -> None:
    """A 200 without items does not end the feed, at its beginning, in the middle or before its end."""
    expected = await local_keyring.fill(30)
    local_keyring.cosmos.fault(operation="change_feed", kind="empty_page", count=2, skip=at)

    seen = [
        row
        for found in await list_feed_ranges(local_keyring.container)
        for row in (await drain(local_keyring, found, None, 5))[0]
    ]

    assert sorted(seen) == sorted(expected)


async def test_an_empty_page_is_not_called_drained(local_keyring: LocalKeyring) -> None:
    """The page itself says that the feed goes on, and its cursor is not lost."""
    await local_keyring.fill(4)
    first = (await list_feed_ranges(local_keyring.container))[0]
    local_keyring.cosmos.fault(operation="change_feed", kind="empty_page")

    page = await read_feed_page(local_keyring.container, first, None, 5)

    assert (page.items, page.drained) == ([], False)


@pytest.mark.parametrize("pages_before", [0, 1, 3])
async def test_a_split_loses_nothing(local_keyring: LocalKeyring, pages_before: int) -> None:
    """A range that is split before its first page, after it or later is read to its end, in the child ranges' turn."""
    expected = await local_keyring.fill(60)
    seen: list[str] = []
    for name, found in zip(("0", "1"), await list_feed_ranges(local_keyring.container), strict=True):
        cursor = None
        for _ in range(pages_before):
            page = await read_feed_page(local_keyring.container, found, cursor, 4)
            seen, cursor = seen + ids(page.items), page.cursor
        local_keyring.split(name)
        rest, _ = await drain(local_keyring, found, cursor, 4)
        seen += rest

    assert set(seen) == expected


async def test_a_range_that_spans_partitions_can_be_resumed_after_any_page(local_keyring: LocalKeyring) -> None:
    """Each page's cursor has a place in every child range, so each is a place to go on from."""
    expected = await local_keyring.fill(30)
    seen: set[str] = set()
    cursor, pages = None, 0
    while True:
        page = await read_feed_page(local_keyring.container, WHOLE, cursor, 3)
        seen.update(ids(page.items))
        cursor, pages = page.cursor, pages + 1
        if page.drained:
            break

    assert seen == expected
    assert pages > 3


async def test_readers_of_one_client_do_not_mix_their_cursors(local_keyring: LocalKeyring) -> None:
    """Two ranges that are read at the same time through one client, beside writes, each find all of their rows."""
    expected = await local_keyring.fill(60)
    ranges = await list_feed_ranges(local_keyring.container)

    async def write() -> None:
        for row in sorted(expected)[:20]:
            await local_keyring.container.patch_item(row, row, [{"op": "set", "path": "/x", "value": 1}])

    drains = [drain(local_keyring, feed_range, None, 3) for feed_range in ranges]
    found, _ = await asyncio.gather(asyncio.gather(*drains), write())

    assert {row for seen, _ in found for row in seen} == expected


@pytest.mark.parametrize(("status", "expected"), [(403, PermissionMissingError), (503, UnavailableError)])
async def test_a_failing_feed_says_who_must_act(
    local_keyring: LocalKeyring, status: int, expected: type[Exception]
) -> None:
    """A feed that may not be read is for the operator, one that fails is for a later attempt."""
    first = (await list_feed_ranges(local_keyring.container))[0]
    local_keyring.cosmos.fault(
        operation="change_feed", kind="status", status=status, count=None, body={"message": "no"}
    )

    with pytest.raises(expected):
        await read_feed_page(local_keyring.container, first, None, 5)
