"""The container ``keyturn`` as documents: read, create, replace if unchanged, and what Cosmos DB's failures become."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosClientTimeoutError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from keyturn.errors import KeyturnError, PermissionMissingError, ResourceMissingError, UnavailableError

_RESOURCE = "the keyturn container"
# Throttled after the SDK's own retries, a partition that moved, "retry with", timeouts.
_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS, 449})
_SERVER_ERRORS = 500
_LOST = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND})


class Documents:
    """The documents of the container; every one has an ``id`` and a ``keyring``, its partition."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    async def read(self, keyring: str, document_id: str) -> dict[str, Any] | None:
        """Return the document with its ``_etag``, or None."""
        async with _failures("read"):
            try:
                return dict(await self._container.read_item(document_id, partition_key=keyring))
            except CosmosResourceNotFoundError:
                return None

    async def create(self, document: dict[str, Any]) -> bool:
        """Create the document; returns False where one of this id exists."""
        async with _failures("create"):
            try:
                await self._container.create_item(document)
            except CosmosResourceExistsError:
                return False
        return True

    async def replace(self, document: dict[str, Any], etag: str) -> dict[str, Any] | None:
        """Replace the document if it still has this ETag; returns what is stored now, or None if the race is lost."""
        async with _failures("replace"):
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
        async with _failures("batch"):
            try:
                await self._container.execute_item_batch(operations, partition_key=keyring)
            except CosmosBatchOperationError as error:
                if error.status_code in _LOST:
                    return False
                raise
        return True

    async def query(self, keyring: str, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all documents of the partition that the query selects."""
        async with _failures("query"):
            found = self._container.query_items(
                query,
                parameters=[{"name": name, "value": value} for name, value in parameters.items()],
                partition_key=keyring,
            )
            return [dict(document) async for document in found]


@asynccontextmanager
async def _failures(operation: str) -> AsyncIterator[None]:
    """Turn the client's failures into ours, by who must act."""
    try:
        yield
    except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
        raise _failure(operation, error.status_code or 0) from error
    except (CosmosClientTimeoutError, ServiceRequestError, ServiceResponseError) as error:
        raise UnavailableError(f"{_RESOURCE} did not answer", resource=_RESOURCE) from error


def _failure(operation: str, status: int) -> KeyturnError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return PermissionMissingError(
            f"the app's identity may not {operation} in {_RESOURCE}", resource=_RESOURCE, operation=operation
        )
    if status == HTTPStatus.NOT_FOUND:
        return ResourceMissingError(f"{_RESOURCE} does not exist", resource=_RESOURCE)
    if status in _TRANSIENT or status >= _SERVER_ERRORS:
        return UnavailableError(f"{_RESOURCE} answered {status}", resource=_RESOURCE)
    return KeyturnError(f"{_RESOURCE} refused to {operation} with {status}")
