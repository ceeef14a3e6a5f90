"""Rows of another form than this library's: other properties, nested ones, other encodings, the dekId elsewhere."""

from collections.abc import Mapping
from typing import Any, Protocol

from field_encrypt.errors import InvalidRowError
from field_encrypt.rows import ID

CANNOT_READ = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # what a codec raises for a malformed item


class RowCodec(Protocol):
    """Reads and writes the items of a dek store that has a form of its own.

    The library's own form of a row are the properties ``id`` (the dekId), ``wrappedDek`` (base64), ``mekName``,
    ``mekVersion`` (a version id, or the whole key id), ``algorithm`` (RSA-OAEP or RSA-OAEP-256), ``createdAt`` (ISO
    8601) and ``keyCheck`` (base64); all but the first two may be absent. Beside what a codec writes, the library keeps
    ``previousWrap``, ``rewrappedAt``, ``uses`` and ``documents`` in properties of these names.
    """

    def item_id(self, dek_id: str) -> str:
        """Return the id of the item that holds a DEK."""
        ...

    def read(self, item: Mapping[str, object]) -> Mapping[str, object]:
        """Return an item in the library's own form.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: the item does not have the form that this codec reads.
        """
        ...

    def write(self, row: Mapping[str, object], item: Mapping[str, object]) -> Mapping[str, object]:
        """Return the item's own properties, whole ones, that hold this row.

        ``item`` is the item as it is stored, empty for a new row: what it has inside those properties beside the row
        must be returned with them. The id, and what the container is partitioned by, are not written.
        """
        ...


def decoded(item: Mapping[str, Any], codec: RowCodec | None) -> Mapping[str, Any]:
    """Return the item with its row in the library's own form.

    Raises:
        InvalidRowError: the item does not have the form that the codec reads.
    """
    if codec is None:
        return item
    try:
        return {**item, **codec.read(item)}
    except CANNOT_READ:
        pass  # its text can quote the item; the error below has no cause and no context
    raise InvalidRowError(str(item.get(ID)), "(the whole row)", f"what {type(codec).__name__} reads")
