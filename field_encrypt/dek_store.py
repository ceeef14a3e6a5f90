"""The dek store: rows of wrapped DEKs in a Cosmos DB container, created once and read by dekId."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from azure.core.exceptions import AzureError, HttpResponseError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from field_encrypt.errors import DekExistsError, DekNotFoundError, DekStoreForbiddenError, DekStoreUnavailableError
from field_encrypt.rows import DekRow, RowDefaults, RowNames, WrappedDek, new_row


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
        row = new_row(
            dek_id,
            partition_value=self._partition_value_of(dek_id),
            wrapped=wrapped,
            key_check=key_check,
            created_at=datetime.now(UTC),
            names=self.names,
        )
        try:
            await self.container.create_item(row)
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
        return DekRow.parse(row, self.names, self._defaults)


def failure(error: AzureError, dek_id: str | None, operation: str) -> DekStoreForbiddenError | DekStoreUnavailableError:
    """Return the library's error for a failed call to the dek store; ``dek_id`` is None if no single row was meant."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return DekStoreForbiddenError(dek_id, operation)
    return DekStoreUnavailableError(dek_id, operation, status)
