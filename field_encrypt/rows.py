"""A row of the dek store: the names of its properties, how one is written, how one is read; rows of another form.

Only what this library needs is read; everything else in a row belongs to its writer, who preserves it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from field_encrypt.dek import KEY_CHECK_BYTES
from field_encrypt.encoding import from_base64, to_base64
from field_encrypt.errors import InvalidRowError

ID: Final = "id"  # Cosmos DB's own name for it, and not a setting


# How much of a shared DEK is leased (see field_encrypt.leases); rows of DEKs that are not counted have none of these.
USES: Final = "uses"
DOCUMENTS: Final = "documents"
REWRAPPED_AT: Final = "rewrappedAt"  # written by a rotation


def same_name(first: str, second: str) -> bool:
    """Tell whether two names or key ids are one; names of vaults and keys are ASCII and ignore case."""
    return first.isascii() and first.lower() == second.lower()


class WrappedDek(BaseModel):
    """A DEK under one version of one MEK: what a provider returns, and all it needs to unwrap."""

    model_config = ConfigDict(frozen=True)

    mek_name: str
    mek_version: str
    algorithm: str
    wrapped: bytes = Field(repr=False)


class RowNames(BaseModel):
    """The names of a row's properties, for dek stores that grew up with others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition_key: str = ID  # the property that the container is partitioned by
    wrapped_dek: str = "wrappedDek"
    mek_name: str = "mekName"
    mek_version: str = "mekVersion"
    algorithm: str = "algorithm"
    created_at: str = "createdAt"
    key_check: str = "keyCheck"


class RowDefaults(BaseModel):
    """What a row of an older writer means where it says nothing."""

    model_config = ConfigDict(frozen=True)

    mek_name: str
    algorithm: str = "RSA-OAEP-256"


class DekRow(BaseModel):
    """What this library reads of a row; ``mek_version`` and ``key_check`` are None in rows of older writers."""

    model_config = ConfigDict(frozen=True)

    dek_id: str
    mek_name: str
    mek_version: str | None
    algorithm: str
    wrapped: bytes = Field(repr=False)
    key_check: bytes | None
    created_at: datetime | None = None  # None too where it is no time with its zone: it is informative
    rewrapped_at: datetime | None = None
    uses: int = 0
    documents: int = 0

    @classmethod
    def parse(cls, row: Mapping[str, Any], names: RowNames, defaults: RowDefaults) -> Self:
        """Read a row.

        Raises:
            InvalidRowError: naming the property that is missing or malformed.
        """
        dek_id = row.get(ID)
        if not isinstance(dek_id, str) or not dek_id:
            raise InvalidRowError(str(dek_id), ID, "a text that is not empty")
        wrapped = from_base64(row.get(names.wrapped_dek))
        if not wrapped:
            raise InvalidRowError(dek_id, names.wrapped_dek, "base64 that is not empty")
        key_check = row.get(names.key_check)
        check = None if key_check is None else from_base64(key_check)
        if key_check is not None and (check is None or len(check) != KEY_CHECK_BYTES):
            raise InvalidRowError(dek_id, names.key_check, f"{KEY_CHECK_BYTES} bytes in base64")
        return cls(
            dek_id=dek_id,
            mek_name=_optional_text(row, names.mek_name, dek_id) or defaults.mek_name,
            mek_version=_optional_text(row, names.mek_version, dek_id),
            algorithm=_optional_text(row, names.algorithm, dek_id) or defaults.algorithm,
            wrapped=wrapped,
            key_check=check,
            created_at=_time(row.get(names.created_at)),
            rewrapped_at=_time(row.get(REWRAPPED_AT)),
            uses=_count(row, USES, dek_id),
            documents=_count(row, DOCUMENTS, dek_id),
        )

    def wrapped_under(self, version: str) -> WrappedDek:
        """Return the wrapped DEK, taken as wrapped under this version."""
        return WrappedDek(mek_name=self.mek_name, mek_version=version, algorithm=self.algorithm, wrapped=self.wrapped)

    def same_wrap(self, other: Self) -> bool:
        """Tell whether both rows hold the same wrap."""
        return (self.mek_version, self.wrapped) == (other.mek_version, other.wrapped)


def new_row(
    dek_id: str, *, partition_value: str, wrapped: WrappedDek, key_check: bytes, created_at: datetime, names: RowNames
) -> dict[str, Any]:
    """Return the row of a new DEK; ``created_at`` is aware of its time zone."""
    return {
        names.partition_key: partition_value,
        ID: dek_id,
        names.wrapped_dek: to_base64(wrapped.wrapped),
        names.mek_name: wrapped.mek_name,
        names.mek_version: wrapped.mek_version,
        names.algorithm: wrapped.algorithm,
        names.created_at: created_at.isoformat(timespec="milliseconds"),
        names.key_check: to_base64(key_check),
    }


def _optional_text(row: Mapping[str, Any], name: str, dek_id: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidRowError(dek_id, name, "a text that is not empty, or nothing")
    return value


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if time is None or time.tzinfo is None else time


def _count(row: Mapping[str, Any], name: str, dek_id: str) -> int:
    value = row.get(name, 0)
    # A whole number may come back as a double. Refused and not taken as 0: more uses than the bound would be granted.
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise InvalidRowError(dek_id, name, "a whole number that is not negative, or nothing")
    return int(value)


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
