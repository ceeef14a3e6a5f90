"""The container ``keyturn`` as documents: read, create, replace if unchanged, all or nothing."""

from collections.abc import Mapping, Sequence
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

from keyturn.cosmos.errors import cosmos_failures, is_absent_item
from keyturn.cosmos.session_tokens import SESSION_TOKEN, merge_session_tokens

_RESOURCE = "the keyturn container"
_LOST = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND})


class Documents:
    """The documents of the container; every one has an ``id`` and a ``keyring``, its partition.

    What was written here is read here: each read carries the session token of the newest write in its partition. The
    SDK does that by itself, but for batches, whose tokens it does not keep.
    """

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container
        self._tokens: dict[str, str] = {}  # keyring -> session token of our newest write

    async def read(self, keyring: str, document_id: str) -> dict[str, Any] | None:
        """Return the document with its ``_etag``, or None."""
        async with cosmos_failures(_RESOURCE, "read"):
            try:
                return dict(
                    await self._container.read_item(
                        document_id, partition_key=keyring, session_token=self._tokens.get(keyring)
                    )
                )
            except CosmosResourceNotFoundError as error:
                if is_absent_item(error):
                    return None
                raise

    async def create(self, document: dict[str, Any]) -> bool:
        """Create the document; returns False where one of this id exists."""
        async with cosmos_failures(_RESOURCE, "create"):
            try:
                created = await self._container.create_item(document)
                self._wrote(document["keyring"], created.get_response_headers())
            except CosmosResourceExistsError:
                return False
        return True

    async def replace(self, document: dict[str, Any], etag: str) -> dict[str, Any] | None:
        """Replace the document if it still has this ETag; returns what is stored now, or None if the race is lost."""
        async with cosmos_failures(_RESOURCE, "replace"):
            try:
                replaced = await self._container.replace_item(
                    document["id"], document, etag=etag, match_condition=MatchConditions.IfNotModified
                )
                self._wrote(document["keyring"], replaced.get_response_headers())
                return dict(replaced)
            except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
                return None

    async def batch(self, keyring: str, operations: Sequence[tuple[Any, ...]]) -> bool:
        """Apply all operations or none; returns False where a condition of one of them does not hold."""
        async with cosmos_failures(_RESOURCE, "batch"):
            try:
                written = await self._container.execute_item_batch(operations, partition_key=keyring)
                self._wrote(keyring, written.get_response_headers())
            except CosmosBatchOperationError as error:
                if error.status_code in _LOST:
                    return False
                # A batch's error is not of the family that all other failures belong to.
                raise CosmosHttpResponseError(  # type: ignore[no-untyped-call]  # the SDK's constructor has no types
                    error.status_code, "a batch failed"
                ) from error
        return True

    def _wrote(self, keyring: str, headers: Mapping[str, str]) -> None:
        if (token := headers.get(SESSION_TOKEN)) is not None:
            known = {keyring: self._tokens[keyring]} if keyring in self._tokens else {}
            self._tokens |= merge_session_tokens(known, {keyring: token})

    async def query(self, keyring: str, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all documents of the partition that the query selects."""
        async with cosmos_failures(_RESOURCE, "query"):
            found = self._container.query_items(
                query,
                parameters=[{"name": name, "value": value} for name, value in parameters.items()],
                partition_key=keyring,
                session_token=self._tokens.get(keyring),
            )
            return [dict(document) async for document in found]
