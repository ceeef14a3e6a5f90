"""A dek store as a sweep goes over it: pages of its change feed, single rows, one conditional write, a count."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.cosmos.exceptions import CosmosAccessConditionFailedError
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt.change_feed import FeedPage, list_feed_ranges, read_feed_page
from field_encrypt.dek_store import DekStore, is_gone
from field_encrypt.errors import LostFeedPositionError
from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_patches import partition_key_of, rewrap_patch
from field_encrypt.row_states import Row, classify, scalar
from field_encrypt.rows import RowNames
from field_encrypt.sweep_results import RowKey

ITEMS_A_PAGE: Final = 250


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the rows are read by."""

    vault_url: str
    mek_name: str
    default_algorithm: str
    row_names: RowNames


class SweepStore:
    """The rows of a dek store, told apart for one target version; a failed call raises the library's error for it."""

    def __init__(self, dek_store: DekStore, vault_url: str, target_version: str) -> None:
        self._dek_store = dek_store
        self._container = dek_store.container
        self._codec = dek_store.codec
        defaults = dek_store.defaults
        self._settings = _Settings(vault_url, defaults.mek_name, defaults.algorithm, dek_store.names)
        self._target_version = target_version

    async def feed_ranges(self) -> list[str]:
        """Return the store's feed ranges, one for each physical partition."""
        try:
            return await list_feed_ranges(self._container)
        except AzureError as error:
            raise self._dek_store.failure(error, None, "read of the feed ranges") from error

    async def page(self, feed_range: str, cursor: str | None) -> FeedPage:
        """Read on in a range: from its beginning too where the cursor is one of a container that is no more."""
        try:
            return await read_feed_page(self._container, feed_range, cursor, start="Beginning", max_items=ITEMS_A_PAGE)
        except LostFeedPositionError:
            if cursor is None:
                raise
        except AzureError as error:
            raise self._dek_store.failure(error, None, "read of the change feed") from error
        return await self.page(feed_range, None)

    async def listed(self) -> dict[RowKey, Any]:
        """Return the rows that a query finds, with the value by which the service keeps each."""
        name = self._settings.row_names.partition_key
        query = f"SELECT c.id, c[{json.dumps(name)}] AS kept FROM c"  # noqa: S608 - a quoted name of our own settings
        try:
            found = [dict(item) async for item in self._container.query_items(query)]
        except AzureError as error:
            raise self._dek_store.failure(error, None, "listing of the rows") from error
        absent = NonePartitionKeyValue
        return {
            (str(item["id"]), scalar(item.get("kept"))): scalar(item["kept"]) if "kept" in item else absent
            for item in found
        }

    def read(self, item: Mapping[str, Any]) -> Row:
        """Read a row of a page."""
        return classify(item, self._settings, self._target_version, self._codec)

    async def read_again(self, row: Row) -> Row | None:
        """Return a row as it is now, or None if it is gone."""
        return await self.read_one(row.id, partition_key_of(row, self._settings))

    async def read_one(self, item_id: str, partition_key: Any) -> Row | None:
        """Return the row of an item, or None if there is none."""
        try:
            item = await self._container.read_item(item_id, partition_key=partition_key)
        except AzureError as error:
            if is_gone(error):
                return None
            raise self._dek_store.failure(error, item_id, "read") from error
        return self.read(dict(item))

    async def write(self, row: Row, new: NewWrap) -> bool:
        """Write the new wrap, and tell whether it was: not into a row that was changed or deleted meanwhile."""
        try:
            await rewrap_patch(row, new, self._settings, self._codec).send(self._container)
        except CosmosAccessConditionFailedError:
            return False
        except AzureError as error:
            if is_gone(error):
                return False
            raise self._dek_store.failure(error, row.id, "patch") from error
        return True
