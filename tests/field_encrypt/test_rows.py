"""Rows of the dek store: what is written, what is read, and how a malformed one is named."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from field_encrypt.errors import InvalidRowError
from field_encrypt.rows import DekRow, RowDefaults, RowNames, WrappedDek, new_row

DEFAULTS = RowDefaults(mek_name="notes-mek")
WRAPPED = WrappedDek(mek_name="notes-mek", mek_version="v1", algorithm="RSA-OAEP", wrapped=b"secret wrap")
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def row(names: RowNames | None = None, partition_value: str = "dek-1") -> dict[str, Any]:
    """Write the example row."""
    return new_row(
        "dek-1",
        partition_value=partition_value,
        wrapped=WRAPPED,
        key_check=bytes(16),
        created_at=CREATED,
        names=names or RowNames(),
    )


def test_new_row_is_the_one_of_the_contract() -> None:
    """A new row has the properties that every reader of the dek store expects."""
    expected = {
        "id": "dek-1",
        "wrappedDek": base64.b64encode(b"secret wrap").decode(),
        "mekName": "notes-mek",
        "mekVersion": "v1",
        "algorithm": "RSA-OAEP",
        "createdAt": "2026-01-02T03:04:05.000+00:00",
        "keyCheck": base64.b64encode(bytes(16)).decode(),
    }

    assert row() == expected


def test_names_are_settings() -> None:
    """A dek store with other names is written and read by those names."""
    names = RowNames(partition_key="tenant", wrapped_dek="wrapped", mek_version="kekVersion")

    written = row(names, partition_value="tenant-7")
    read = DekRow.parse(written, names, DEFAULTS)

    assert (written["tenant"], written["kekVersion"]) == ("tenant-7", "v1")
    assert read.wrapped_under("v1") == WRAPPED


def test_row_of_an_older_writer_takes_the_defaults() -> None:
    """A row without labels and key check is read with the defaults and without a version."""
    read = DekRow.parse({"id": "dek-1", "wrappedDek": "AAAA"}, RowNames(), DEFAULTS)

    assert (
        read.mek_name,
        read.algorithm,
        read.mek_version,
        read.key_check,
    ) == ("notes-mek", "RSA-OAEP-256", None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 7),
        ("id", None),
        ("wrappedDek", None),
        ("wrappedDek", ""),
        ("wrappedDek", "%%%"),
        ("wrappedDek", "QR=="),
        ("keyCheck", "AAAA"),
        ("keyCheck", 1),
        ("mekVersion", 3),
        ("mekVersion", ""),
        ("mekName", []),
        ("algorithm", {}),
    ],
)
def test_malformed_property_is_named(name: str, value: Any) -> None:
    """A row with a malformed property is refused with that property's name."""
    with pytest.raises(InvalidRowError) as refusal:
        DekRow.parse({**row(), name: value}, RowNames(), DEFAULTS)

    assert refusal.value.property_name == name


def test_no_representation_shows_the_wrapped_bytes() -> None:
    """Neither a wrapped DEK nor a read row shows its wrapped bytes."""
    read = DekRow.parse(row(), RowNames(), DEFAULTS)

    assert "secret" not in repr(WRAPPED) + str(WRAPPED) + repr(read)
