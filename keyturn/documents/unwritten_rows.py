"""A dek store for a dry run: rows are read as they are, and none is created."""

from typing import override

from field_encrypt import DekStore
from field_encrypt.rows import DekRow, WrappedDek


class UnwrittenRows(DekStore):
    """The rows of another store, to which nothing is added."""

    def __init__(self, rows: DekStore) -> None:
        self._rows = rows

    @override
    async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
        """Leave the row out: its DEK ends with the dry run."""

    @override
    async def read(self, dek_id: str) -> DekRow:
        return await self._rows.read(dek_id)
