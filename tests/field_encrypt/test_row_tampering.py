"""Rows that were changed: whatever byte it is, the read ends in an error that names the row."""

import base64
from typing import Any

import pytest

from field_encrypt import EnvProvider, FieldEncryptError, FieldEncryption
from field_encrypt.encoding import to_base64
from field_encrypt.errors import InvalidRowError, KeyCheckMismatchError, UnwrapError
from field_encrypt.mek_errors import ForeignMekError, MekVersionNotFoundError, UnwrapRefusedError
from tests.field_encrypt.local_keyring import FIELDS, NOTE, LocalKeyring

KEY = to_base64(bytes(range(32)))


async def error_of(reader: FieldEncryption, stored: dict[str, Any]) -> FieldEncryptError:
    """Return the error in which reading the document ends."""
    with pytest.raises(FieldEncryptError) as failed:
        await reader.decrypt_fields("notes", "note-1", stored, FIELDS)
    return failed.value


@pytest.mark.parametrize("name", ["wrappedDek", "keyCheck"])
async def test_every_character_of_a_row_counts(local_keyring: LocalKeyring, name: str) -> None:
    """No character of wrap or key check can change unseen, the unused bits at the end included."""
    reader = FieldEncryption(EnvProvider(KEY), local_keyring.store, None)
    stored: dict[str, Any] = await reader.encrypt_fields("notes", "note-1", NOTE, FIELDS)
    dek_id = stored["title"]["dekId"]
    good = (await local_keyring.row(dek_id))[name]
    expected = (InvalidRowError, UnwrapRefusedError if name == "wrappedDek" else KeyCheckMismatchError)

    for position, character in enumerate(good):
        other = "A" if character != "A" else "B"
        await local_keyring.change(dek_id, **{name: good[:position] + other + good[position + 1 :]})
        error = await error_of(reader, stored)

        assert isinstance(error, expected)
        assert dek_id in str(error)


@pytest.mark.parametrize("position", [0, 1, 100, 254, 255])
async def test_changed_byte_of_a_wrap_is_refused_by_the_vault(local_keyring: LocalKeyring, position: int) -> None:
    """A wrap under RSA that was changed does not open, and the row is named."""
    stored = await local_keyring.encrypted()
    dek_id = stored["title"]["dekId"]
    wrap = bytearray(base64.b64decode((await local_keyring.row(dek_id))["wrappedDek"]))
    wrap[position] ^= 1
    await local_keyring.change(dek_id, wrappedDek=to_base64(bytes(wrap)))

    error = await error_of(local_keyring.reader(), stored)

    assert UnwrapRefusedError is type(error)
    assert dek_id in str(error)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mekVersion": "0" * 32}, MekVersionNotFoundError),
        ({"mekVersion": "another"}, UnwrapRefusedError),
        ({"mekName": "another-mek"}, ForeignMekError),
        ({"algorithm": "RSA-OAEP"}, UnwrapRefusedError),
        ({"algorithm": "RSA1_5"}, UnwrapRefusedError),
    ],
)
async def test_changed_label_is_detected(
    local_keyring: LocalKeyring, change: dict[str, str], expected: type[FieldEncryptError]
) -> None:
    """A row that names another version, MEK or algorithm than the one that wrapped it does not open."""
    stored = await local_keyring.encrypted()
    if change == {"mekVersion": "another"}:
        change = {"mekVersion": await local_keyring.mek.create()}
    await local_keyring.change(stored["title"]["dekId"], **change)

    error = await error_of(local_keyring.reader(), stored)

    assert isinstance(error, expected)
    assert isinstance(error, UnwrapError)
    assert stored["title"]["dekId"] == error.dek_id
