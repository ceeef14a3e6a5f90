"""The change feed of the dek store, from its beginning, with Keyturn's errors; ``field_encrypt`` reads it."""

from azure.cosmos.aio import ContainerProxy

from field_encrypt import change_feed
from field_encrypt.change_feed import FeedPage
from field_encrypt.errors import LostFeedPositionError
from keyturn.cosmos.errors import cosmos_failures
from keyturn.errors import InvariantError

RESOURCE = "the dek store"


async def list_feed_ranges(container: ContainerProxy) -> list[str]:
    """Return the store's feed ranges, one per physical partition, as JSON texts in the order of their keys."""
    async with cosmos_failures(RESOURCE, "read its partitions"):
        return await change_feed.list_feed_ranges(container)


async def read_feed_page(container: ContainerProxy, feed_range: str, cursor: str | None, max_items: int) -> FeedPage:
    """Read on from the cursor, or from the beginning; the service may return a few more items than asked for.

    Raises:
        InvariantError: the cursor is not one of this container, which was made anew or is another one.
        KeyturnError: of the kind that the failure means.
    """
    try:
        async with cosmos_failures(RESOURCE, "read its change feed"):
            return await change_feed.read_feed_page(
                container, feed_range, cursor, start="Beginning", max_items=max_items
            )
    except LostFeedPositionError as error:
        raise InvariantError(str(error)) from error
