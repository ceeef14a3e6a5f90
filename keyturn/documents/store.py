"""Reads and replaces single documents of one container.

A document only ever changes by one conditional replace (If-Match) of the whole, so that a reader sees all fields under
the old DEK or all under the new one. A replace never creates: a document that was deleted stays deleted.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosHttpResponseError
from azure.cosmos.partition_key import NonePartitionKeyValue

from keyturn.contracts.pages import RowRef, Scalar
from keyturn.cosmos_failures import cosmos_failures, is_absent_item
from keyturn.dek_store.store import REQUEST_CHARGE, SESSION_TOKEN, WriteOutcome, WriteResult
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.reasons import DocumentReason, RefusedDocumentError
from keyturn.settings import DocumentContainer


class DocumentStore:
    """The documents of one container, as a keyring's settings describe it."""

    def __init__(self, container: ContainerProxy, description: DocumentContainer) -> None:
        self.container = container
        self.description = description
        self._resource = f"container {description.name}"

    async def read(self, ref: RowRef) -> dict[str, Any] | None:
        """Return the document as it is now, or None if it is gone."""
        document = await self._read_item(ref.id, ref.partition)
        if document is None and ref.partition is None:
            document = await self._read_item(ref.id, NonePartitionKeyValue)
        return document

    async def replace(self, document: dict[str, Any]) -> WriteResult:
        """Replace the document if it is still the one whose ``_etag`` this one has.

        Raises:
            RefusedDocumentError: it is too large.
        """
        partition_key = self.partition_key(document)
        async with cosmos_failures(self._resource, "write"):
            try:
                answer = await self.container.replace_item(
                    document["id"],
                    document,
                    etag=document["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                    no_response=True,
                )
            except CosmosAccessConditionFailedError:
                return WriteResult(WriteOutcome.LOST_RACE, partition_key)
            except CosmosHttpResponseError as error:
                if is_absent_item(error):
                    return WriteResult(WriteOutcome.GONE, partition_key)
                if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise RefusedDocumentError(DocumentReason.TOO_LARGE) from error
                raise
        headers = answer.get_response_headers()
        return WriteResult(
            WriteOutcome.WRITTEN,
            partition_key,
            session_token=headers.get(SESSION_TOKEN),
            request_units=float(headers.get(REQUEST_CHARGE, 0)),
        )

    def ref(self, document: Mapping[str, Any]) -> RowRef:
        """Return what is needed to read the document again."""
        return RowRef(id=str(document["id"]), partition=_scalar(document.get(self.description.partition_key)))

    def partition_key(self, document: Mapping[str, Any]) -> Any:
        """Return the value by which the service keeps the document."""
        name = self.description.partition_key
        return _scalar(document[name]) if name in document else NonePartitionKeyValue

    def dek_id(self, ids: DekIds, document: Mapping[str, Any]) -> str:
        """Return the id of the DEK that the migration of these ids makes for the document."""
        name = self.description.partition_key
        return ids.of(self.description.name, [document[name]] if name in document else [], str(document["id"]))

    async def _read_item(self, document_id: str, partition_key: Any) -> dict[str, Any] | None:
        async with cosmos_failures(self._resource, "read"):
            try:
                return dict(await self.container.read_item(document_id, partition_key=partition_key))
            except CosmosHttpResponseError as error:
                if is_absent_item(error):
                    return None
                raise


async def count(container: ContainerProxy) -> int:
    """Return how many documents the container holds; raises KeyturnError of the kind that the failure means."""
    async with cosmos_failures(f"container {container.id}", "query"):
        found: list[Any] = [part async for part in container.query_items("SELECT VALUE COUNT(1) FROM c")]
    return sum(found)


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, str | int | float | bool) else None
