"""Follows the dek store's change feed and drops cached DEKs one by one as their rows are rewrapped.

Places in the feed are taken before the cache is emptied once, so that no rewrap falls between the two. From then on a
failed poll loses nothing: the next one goes on from the same places. Places that mean nothing any more, because the
container was made anew or restored, are taken again in the same way.
"""

import asyncio
import contextlib
import logging
import time
from http import HTTPStatus

from azure.core.exceptions import AzureError, HttpResponseError
from azure.cosmos.exceptions import CosmosHttpResponseError

from field_encrypt.change_feed import FeedPage, list_feed_ranges, read_feed_page
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import SESSION_NOT_AVAILABLE, DekStore
from field_encrypt.errors import (
    DekStoreForbiddenError,
    DekStoreMissingError,
    DekStoreUnavailableError,
    LostFeedPositionError,
    require_number,
)

ITEMS_A_PAGE = 100
READ = "read of the change feed"

# A store that does not exist yet is followed once it does.
_POLL_FAILURES = (DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError, LostFeedPositionError)

_logger = logging.getLogger(__name__)


class DekFollower:
    """Keeps one cache in step with one dek store; a poll begins every ``interval_seconds``, or when one has ended."""

    def __init__(self, dek_store: DekStore, cache: DekCache, *, interval_seconds: float = 5.0) -> None:
        """Take what is followed.

        Raises:
            InvalidSettingError: the interval is no number above 0: the polls would never pause.
        """
        require_number("interval_seconds", interval_seconds, above=0)
        self._dek_store = dek_store
        self._cache = cache
        self._interval_seconds = interval_seconds
        self._stopping = asyncio.Event()
        self._cursors: dict[str, str] = {}  # feed range -> where it goes on

    def stop(self) -> None:
        """Let :meth:`run` end after the poll that is under way: a cancelled one can leave its connection open."""
        self._stopping.set()

    async def run(self) -> None:
        """Poll until stopped; a poll that fails is logged, and the places in the feed are kept for the next one."""
        while not self._stopping.is_set():
            due = time.monotonic() + self._interval_seconds
            try:
                await self.poll()
            except _POLL_FAILURES as error:
                _logger.warning("cached DEKs may outlive a rewrap until they expire: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), max(0.0, due - time.monotonic()))

    async def poll(self) -> None:
        """Drop every cached DEK whose row was rewrapped since the last poll; the first poll drops all.

        Raises:
            DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError, LostFeedPositionError: some may not
                have been dropped.
        """
        if not self._cursors:
            await self._begin()
        # One range that fails ends no other one's turn, and none is still under way when the next poll begins.
        outcomes = await asyncio.gather(*map(self._follow, self._cursors), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if any(isinstance(failed, LostFeedPositionError) for failed in failures):
            self._cursors = {}
        if failures:
            raise failures[0]

    async def _begin(self) -> None:
        try:
            ranges = await list_feed_ranges(self._dek_store.container)
        except AzureError as error:
            raise self._dek_store.failure(error, None, READ) from error
        pages = await asyncio.gather(*(self._read(feed_range) for feed_range in ranges))
        self._cursors = {feed_range: page.cursor for feed_range, page in zip(ranges, pages, strict=True)}
        self._cache.clear()

    async def _follow(self, feed_range: str) -> None:
        drained = False
        while not drained:
            page = await self._read(feed_range)
            for item in page.items:
                self._cache.invalidate_other_wraps(*self._dek_store.wrap_in(item))
            self._cursors[feed_range] = page.cursor
            drained = page.drained

    async def _read(self, feed_range: str) -> FeedPage:
        cursor = self._cursors.get(feed_range)
        try:
            return await read_feed_page(
                self._dek_store.container, feed_range, cursor, start="Now", max_items=ITEMS_A_PAGE
            )
        except AzureError as error:
            if cursor is not None and _means_lost_position(error):
                raise LostFeedPositionError("the dek store does not know the place in its change feed") from error
            raise self._dek_store.failure(error, None, READ) from error


def _means_lost_position(error: AzureError) -> bool:
    if not isinstance(error, HttpResponseError):
        return False
    if isinstance(error, CosmosHttpResponseError) and error.sub_status == SESSION_NOT_AVAILABLE:
        return False
    return error.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
