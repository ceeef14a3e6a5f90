"""The dek store: rows of wrapped DEKs in a Cosmos DB container, created once and read by dekId."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from field_encrypt.errors import DekExistsError, DekNotFoundError, DekStoreForbiddenError, DekStoreUnavailableError
from field_encrypt.rows import DOCUMENTS, USES, DekRow, RowDefaults, RowNames, WrappedDek, new_row


def same_as_dek_id(dek_id: str) -> str:
    """Return the dekId as the partition key's value, for containers partitioned by it."""
    return dek_id


class DekStore:
    """The rows of one container; ``partition_value_of`` derives the partition key's value from a dekId."""

    def __init__(
        self,
        container: ContainerProxy,
        defaults: RowDefaults,
        names: RowNames | None = None,
        partition_value_of: Callable[[str], str] = same_as_dek_id,
    ) -> None:
        self.container = container
        self._defaults = defaults
        self.names = names or RowNames()
        self._partition_value_of = partition_value_of

    async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
        """Create the row of a new DEK; never overwrites one.

        Raises:
            DekExistsError: there is a row of this dekId.
            DekStoreForbiddenError, DekStoreUnavailableError: the row may not exist; its dekId must not be used.
        """
        try:
            await self.container.create_item(self._new_row(dek_id, wrapped, key_check))
        except CosmosResourceExistsError as error:
            # The SDK repeats a create whose answer was lost: the row that exists is then our own.
            if (await self.read(dek_id)).wrapped != wrapped.wrapped:
                raise DekExistsError(dek_id) from error
        except AzureError as error:
            raise failure(error, dek_id, "create") from error

    async def read(self, dek_id: str) -> DekRow:
        """Read a row by a point read.

        Raises:
            DekNotFoundError, InvalidRowError, DekStoreForbiddenError, DekStoreUnavailableError: as they say.
        """
        try:
            row = await self.container.read_item(dek_id, partition_key=self._partition_value_of(dek_id))
        except CosmosResourceNotFoundError as error:
            raise DekNotFoundError(dek_id) from error
        except AzureError as error:
            raise failure(error, dek_id, "read") from error
        return self._parsed(row)

    async def find(self, dek_id: str) -> DekRow | None:
        """Read a row that may not exist.

        Raises:
            InvalidRowError, DekStoreForbiddenError, DekStoreUnavailableError: as they say.
        """
        try:
            return await self.read(dek_id)
        except DekNotFoundError:
            return None

    async def create_counted(
        self, dek_id: str, wrapped: WrappedDek, key_check: bytes, *, uses: int, documents: int
    ) -> bool:
        """Create the row of a DEK with its first lease; return False if there is a row already, if only our own.

        Raises:
            DekStoreForbiddenError, DekStoreUnavailableError: the row may not exist; its dekId must not be used.
        """
        row = {**self._new_row(dek_id, wrapped, key_check), USES: uses, DOCUMENTS: documents}
        try:
            await self.container.create_item(row)
        except CosmosResourceExistsError:
            return False
        except AzureError as error:
            raise failure(error, dek_id, "create") from error
        return True

    async def reserve(self, dek_id: str, *, uses: int, documents: int) -> DekRow:
        """Add to a row's counters in one write, and return the row as it is then.

        A write whose answer is lost has counted all the same: what was reserved by it is never used.

        Raises:
            DekNotFoundError, InvalidRowError, DekStoreForbiddenError, DekStoreUnavailableError: as they say.
        """
        added = [
            {"op": "incr", "path": f"/{name}", "value": value} for name, value in ((USES, uses), (DOCUMENTS, documents))
        ]
        try:
            row = await self.container.patch_item(dek_id, self._partition_value_of(dek_id), added)
        except CosmosResourceNotFoundError as error:
            raise DekNotFoundError(dek_id) from error
        except AzureError as error:
            raise failure(error, dek_id, "patch") from error
        return self._parsed(row)

    def _new_row(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> dict[str, Any]:
        return new_row(
            dek_id,
            partition_value=self._partition_value_of(dek_id),
            wrapped=wrapped,
            key_check=key_check,
            created_at=datetime.now(UTC),
            names=self.names,
        )

    def _parsed(self, row: Mapping[str, Any]) -> DekRow:
        return DekRow.parse(row, self.names, self._defaults)


def failure(error: AzureError, dek_id: str | None, operation: str) -> DekStoreForbiddenError | DekStoreUnavailableError:
    """Return the library's error for a failed call to the dek store; ``dek_id`` is None if no single row was meant."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return DekStoreForbiddenError(dek_id, operation)
    return DekStoreUnavailableError(dek_id, operation, status)
