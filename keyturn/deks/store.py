"""Reads and rewrites single rows: by one conditional patch of everything that belongs together, which never creates."""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosHttpResponseError
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt.rewrapping import NewWrap
from field_encrypt.row_patches import RowPatch, exchange_patch, rewrap_patch
from field_encrypt.row_states import Row, classify
from keyturn.contracts.pages import RowRef
from keyturn.cosmos.client import cosmos_failures, is_absent_item
from keyturn.cosmos.session_tokens import SESSION_TOKEN
from keyturn.settings import Keyring

RESOURCE = "the dek store"


class Outcome(StrEnum):
    """What became of a conditional write, or of one attempt at an item."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    GONE = "gone"  # the item was deleted
    QUARANTINED = "quarantined"
    AGAIN = "again"  # the item is not what it was when it was read, or could not be seen yet


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a conditional write; the token is set if the row was written."""

    outcome: Outcome
    partition_key: Any
    session_token: str | None = None


async def conditional_write(
    resource: str, partition_key: Any, written: Awaitable[CosmosDict], operation: str = "write"
) -> WriteResult:
    """Return what became of a write of what must be there; raises KeyturnError of the kind that a failure means."""
    async with cosmos_failures(resource, operation):
        try:
            headers = (await written).get_response_headers()
        except CosmosAccessConditionFailedError:
            return WriteResult(Outcome.AGAIN, partition_key)
        except CosmosHttpResponseError as error:
            if is_absent_item(error):
                return WriteResult(Outcome.GONE, partition_key)
            raise
    return WriteResult(Outcome.CHANGED, partition_key, headers.get(SESSION_TOKEN))


async def read_item(
    container: ContainerProxy, ref: RowRef, resource: str, operation: str = "read"
) -> dict[str, Any] | None:
    """Return an item as it is now, None if it is gone; raises KeyturnError of the kind that a failure means."""
    async with cosmos_failures(resource, operation):
        for partition_key in [ref.partition] if ref.partition is not None else [None, NonePartitionKeyValue]:
            try:
                return dict(await container.read_item(ref.id, partition_key=partition_key))
            except CosmosHttpResponseError as error:
                if not is_absent_item(error):
                    raise
    return None


class DekStore:
    """The rows of one keyring's dek store."""

    def __init__(self, container: ContainerProxy, keyring: Keyring) -> None:
        self.container = container
        self.keyring = keyring

    async def read(self, ref: RowRef, target_version: str) -> Row | None:
        """Return the row as it is now, told apart for a rotation to the target version, or None if it is gone."""
        item = await read_item(self.container, ref, RESOURCE)
        return None if item is None else classify(item, self.keyring, target_version)

    async def rewrap(self, row: Row, new: NewWrap) -> WriteResult:
        """Put the new wrap into the row if it is still as it was read; the old one is kept beside it."""
        return await self._write(rewrap_patch(row, new, self.keyring))

    async def exchange(self, row: Row, fence: int) -> WriteResult:
        """Put the row's previous wrap back in place of its wrap, which is kept, if the row is still as it was read.

        Raises KeyError for a row that has no whole previous wrap.
        """
        return await self._write(exchange_patch(row, self.keyring, fence))

    async def _write(self, patch: RowPatch) -> WriteResult:
        return await conditional_write(RESOURCE, patch.partition_key, patch.send(self.container))
