"""Reads the change feed of one feed range, page by page, from its beginning or from now on.

What the SDK (azure-cosmos 4.17.1) does, and this module answers:

* It starts at "now" unless told otherwise, and a start time would make a token that cannot be resumed: here the start
  is always said, and is one of the two that can be resumed.
* It ends its iteration at an empty page, although only 304 means that the feed is drained. The hook's result is None
  for a 304.
* It does not give the continuation of an empty page; the headers that the hook was given are changed to hold it.
* After a split it goes on with the child ranges one by one. A token in which one of them was not read yet cannot be
  resumed, and would begin at a later "now"; such a page is read on until every child range has its own token.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from azure.cosmos.aio import ContainerProxy

from field_encrypt.errors import LostFeedPositionError

Start = Literal["Beginning", "Now"]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Items in the order of their last change, and where the feed goes on; drained if there was nothing more."""

    items: list[dict[str, Any]]
    cursor: str
    drained: bool


async def list_feed_ranges(container: ContainerProxy) -> list[str]:
    """Return the feed ranges, one per physical partition, as JSON texts in the order of their keys.

    Raises:
        AzureError: the service does not give them.
    """
    ranges = [feed_range async for feed_range in container.read_feed_ranges(force_refresh=True)]
    ordered = sorted(ranges, key=lambda found: str(found["Range"]["min"]))
    return [json.dumps(found, sort_keys=True, separators=(",", ":")) for found in ordered]


async def read_feed_page(
    container: ContainerProxy, feed_range: str, cursor: str | None, *, start: Start, max_items: int
) -> FeedPage:
    """Read on from the cursor, or from the start; the service may return a few more items than asked for.

    Raises:
        LostFeedPositionError: the cursor is not one of this container.
        AzureError: the service does not give the page.
    """
    answers: list[tuple[Mapping[str, str], bool]] = []  # headers, and whether the answer was a 304
    pages = container.query_items_change_feed(
        feed_range=json.loads(feed_range),
        start_time=start,
        max_item_count=max_items,
        response_hook=lambda headers, result: answers.append((headers, result is None)),
    ).by_page(cursor)
    items: list[dict[str, Any]] = []
    resumable = False
    while not resumable:
        answered = len(answers)
        found = await _next_page(pages)
        reached = answers[-1][0]["etag"]
        resumable = _is_resumable(reached)
        if not (found or resumable):
            raise LostFeedPositionError("an empty page of the change feed gives no cursor to go on from")
        items += found
    drained = not items and all(not_modified for _, not_modified in answers[answered:])
    return FeedPage(items, reached, drained)


async def _next_page(pages: AsyncIterator[AsyncIterator[dict[str, Any]]]) -> list[dict[str, Any]]:
    try:
        return [item async for item in await anext(pages)]
    except StopAsyncIteration:
        return []  # an empty page; whether the feed is drained, the answers tell
    except ValueError as error:  # what the SDK raises for a cursor of a container that was made anew
        raise LostFeedPositionError("the cursor is not one of this container's change feed") from error


def _is_resumable(cursor: str) -> bool:
    """Tell whether every child range of the cursor has a token of its own."""
    state = json.loads(base64.b64decode(cursor))
    return all(part["token"] is not None for part in state["continuation"]["continuation"])
