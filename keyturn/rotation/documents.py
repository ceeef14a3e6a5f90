"""The container ``keyturn`` as documents: read, create, replace if unchanged, all or nothing."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from keyturn.cosmos_failures import cosmos_failures, is_absent_item

_RESOURCE = "the keyturn container"
_LOST = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND})


class Documents:
    """The documents of the container; every one has an ``id`` and a ``keyring``, its partition."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    async def read(self, keyring: str, document_id: str) -> dict[str, Any] | None:
        """Return the document with its ``_etag``, or None."""
        async with cosmos_failures(_RESOURCE, "read"):
            try:
                return dict(await self._container.read_item(document_id, partition_key=keyring))
            except CosmosResourceNotFoundError as error:
                if is_absent_item(error):
                    return None
                raise

    async def create(self, document: dict[str, Any]) -> bool:
        """Create the document; returns False where one of this id exists."""
        async with cosmos_failures(_RESOURCE, "create"):
            try:
                await self._container.create_item(document)
            except CosmosResourceExistsError:
                return False
        return True

    async def replace(self, document: dict[str, Any], etag: str) -> dict[str, Any] | None:
        """Replace the document if it still has this ETag; returns what is stored now, or None if the race is lost."""
        async with cosmos_failures(_RESOURCE, "replace"):
            try:
                return dict(
                    await self._container.replace_item(
                        document["id"], document, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
                )
            except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
                return None

    async def batch(self, keyring: str, operations: Sequence[tuple[Any, ...]]) -> bool:
        """Apply all operations or none; returns False where a condition of one of them does not hold."""
        async with cosmos_failures(_RESOURCE, "batch"):
            try:
                await self._container.execute_item_batch(operations, partition_key=keyring)
            except CosmosBatchOperationError as error:
                if error.status_code in _LOST:
                    return False
                # A batch's error is not of the family that all other failures belong to.
                raise CosmosHttpResponseError(  # type: ignore[no-untyped-call]  # the SDK's constructor has no types
                    error.status_code, "a batch failed"
                ) from error
        return True

    async def query(self, keyring: str, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all documents of the partition that the query selects."""
        async with cosmos_failures(_RESOURCE, "query"):
            found = self._container.query_items(
                query,
                parameters=[{"name": name, "value": value} for name, value in parameters.items()],
                partition_key=keyring,
            )
            return [dict(document) async for document in found]
