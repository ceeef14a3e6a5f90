"""The dek store: rows of wrapped DEKs in a Cosmos DB container, created once and read by dekId."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError

from field_encrypt.encoding import from_base64
from field_encrypt.errors import (
    DekExistsError,
    DekNotFoundError,
    DekStoreForbiddenError,
    DekStoreMissingError,
    DekStoreUnavailableError,
    InvalidRowError,
    InvalidSettingError,
)
from field_encrypt.rows import (
    DOCUMENTS,
    ID,
    USES,
    DekRow,
    RowCodec,
    RowDefaults,
    RowNames,
    WrappedDek,
    decoded,
    new_row,
)

SESSION_NOT_AVAILABLE = 1002  # substatus of a 404: the replica has not received what this session has seen
# What an item can be named: Cosmos DB's limits. In an address, dots of their own would lead to the container itself.
_ITEM_ID = re.compile(r"(?!\.{1,2}\Z)[^/\\?#\ud800-\udfff]{1,1023}(?<!\s)")


def same_as_dek_id(dek_id: str) -> str:
    """Return the dekId as the partition key's value, for containers partitioned by it."""
    return dek_id


class DekStore:
    """The rows of one container; ``partition_value_of`` derives the partition key's value from a dekId.

    A store whose rows have another form than this library's is read and written by a ``codec``; of ``names`` only the
    partition key is then of use.
    """

    def __init__(
        self,
        container: ContainerProxy,
        defaults: RowDefaults,
        names: RowNames | None = None,
        partition_value_of: Callable[[str], str] | None = None,
        *,
        codec: RowCodec | None = None,
    ) -> None:
        """Take a container, and how its rows are read.

        Raises:
            InvalidSettingError: there are a codec, and names of properties that only the codec knows.
        """
        self.container = container
        self.defaults = defaults
        self.names = names or RowNames()
        self.codec = codec
        self._is_there = False  # the container, as far as it was asked for
        self._item_id = same_as_dek_id if codec is None else codec.item_id
        self._partition_value_of = partition_value_of or self._item_id
        if codec is not None and self.names != RowNames(partition_key=self.names.partition_key):
            raise InvalidSettingError("names", "the partition key's name only; the codec knows the other names")

    async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
        """Create the row of a new DEK; never overwrites one.

        Raises:
            InvalidSettingError: no row can have this dekId.
            DekExistsError: there is a row of this dekId.
            DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError: the row may not exist; its dekId
                must not be used.
        """
        try:
            await self.container.create_item(self._new_row(dek_id, wrapped, key_check))
        except CosmosResourceExistsError as error:
            # The SDK repeats a create whose answer was lost: the row that exists is then our own.
            if (await self.read(dek_id)).wrapped != wrapped.wrapped:
                raise DekExistsError(dek_id) from error
        except AzureError as error:
            raise self.failure(error, dek_id, "create") from error

    async def read(self, dek_id: str) -> DekRow:
        """Read a row by a point read.

        Raises:
            DekNotFoundError: the store is there, and the row is not.
            InvalidRowError, DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError: as they say.
        """
        item_id = self._item_id(dek_id)
        if _ITEM_ID.fullmatch(item_id) is None:
            raise DekNotFoundError(dek_id)
        try:
            row = await self.container.read_item(item_id, partition_key=self._partition_value_of(dek_id))
        except AzureError as error:
            if is_gone(error):
                await self._require_container()
                raise DekNotFoundError(dek_id) from error
            raise self.failure(error, dek_id, "read") from error
        return self.parse(row)

    async def find(self, dek_id: str) -> DekRow | None:
        """Read a row that may not exist.

        Raises:
            InvalidRowError, DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError: as they say.
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
            DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError: the row may not exist; its dekId
                must not be used.
        """
        row = {**self._new_row(dek_id, wrapped, key_check), USES: uses, DOCUMENTS: documents}
        try:
            await self.container.create_item(row)
        except CosmosResourceExistsError:
            return False
        except AzureError as error:
            raise self.failure(error, dek_id, "create") from error
        return True

    async def reserve(self, dek_id: str, *, uses: int, documents: int) -> DekRow:
        """Add to a row's counters in one write, and return the row as it is then.

        A write whose answer is lost has counted all the same: what was reserved by it is never used.

        Raises:
            DekNotFoundError: the store is there, and the row is not.
            InvalidRowError, DekStoreMissingError, DekStoreForbiddenError, DekStoreUnavailableError: as they say.
        """
        added = [
            {"op": "incr", "path": f"/{name}", "value": value} for name, value in ((USES, uses), (DOCUMENTS, documents))
        ]
        item_id = self._item_id(dek_id)
        if _ITEM_ID.fullmatch(item_id) is None:
            raise DekNotFoundError(dek_id)
        try:
            row = await self.container.patch_item(item_id, self._partition_value_of(dek_id), added)
        except AzureError as error:
            if is_gone(error):
                await self._require_container()
                raise DekNotFoundError(dek_id) from error
            raise self.failure(error, dek_id, "patch") from error
        return self.parse(row)

    async def _require_container(self) -> None:
        """Ask for the container, once: Azure's gateway may answer for one that is not there as for an item."""
        if self._is_there:
            return
        try:
            await self.container.read()
        except AzureError as error:
            raise self.failure(error, None, "read of the container") from error
        self._is_there = True

    def _new_row(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> dict[str, Any]:
        item_id, partition_value = self._item_id(dek_id), self._partition_value_of(dek_id)
        if _ITEM_ID.fullmatch(item_id) is None:
            raise InvalidSettingError("dek_id", "what can be the id of an item of Cosmos DB")
        row = new_row(
            dek_id,
            partition_value=partition_value,
            wrapped=wrapped,
            key_check=key_check,
            created_at=datetime.now(UTC),
            names=self.names,
        )
        if self.codec is None:
            return row
        return {**self.codec.write(row, {}), self.names.partition_key: partition_value, ID: item_id}

    def wrap_in(self, item: Mapping[str, object]) -> tuple[str, bytes | None]:
        """Return the dekId of an item of the container and its wrapped DEK, None if there is none to be read."""
        try:
            row = decoded(item, self.codec)
        except InvalidRowError:
            row = {ID: item[ID]}
        return str(row[ID]), from_base64(row.get(self.names.wrapped_dek))

    def parse(self, item: Mapping[str, object]) -> DekRow:
        """Read an item of the container; raises InvalidRowError."""
        return DekRow.parse(decoded(item, self.codec), self.names, self.defaults)

    def failure(
        self, error: AzureError, dek_id: str | None, operation: str
    ) -> DekStoreMissingError | DekStoreForbiddenError | DekStoreUnavailableError:
        """Return the library's error for a failed call to the store; ``dek_id`` is None if no single row was meant."""
        status = error.status_code if isinstance(error, HttpResponseError) else None
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return DekStoreForbiddenError(dek_id, operation)
        if status == HTTPStatus.NOT_FOUND and _substatus(error) != SESSION_NOT_AVAILABLE:
            return DekStoreMissingError(self.container.id)
        return DekStoreUnavailableError(dek_id, operation, status)


def is_gone(error: AzureError) -> bool:
    """Tell whether the item does not exist; a substatus says that it is the container or the session that does not."""
    return isinstance(error, HttpResponseError) and error.status_code == HTTPStatus.NOT_FOUND and not _substatus(error)


def _substatus(error: AzureError) -> int | None:
    return error.sub_status if isinstance(error, CosmosHttpResponseError) else None
