"""Re-encryption: a fresh DEK and new ciphertext, from another key or store too, and repeated without leaving rows."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import EnvProvider, FieldEncryption
from field_encrypt.encoding import to_base64
from field_encrypt.errors import (
    DekStoreUnavailableError,
    InvalidFieldError,
    InvalidFieldPathError,
    InvalidValueError,
    TamperedFieldError,
)
from field_encrypt.mek_errors import UnwrapRefusedError
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_keyring import FIELDS, NOTE, LocalKeyring
from tests.field_encrypt.local_vault import LocalVault, Mek


@pytest.fixture
async def elsewhere(vault: LocalVault, cosmos_client: CosmosClient) -> AsyncIterator[LocalKeyring]:
    """Another key and another dek store."""
    mek = Mek(vault)
    yield await LocalKeyring.create(mek, cosmos_client)
    await mek.close()


def dek_of(document: dict[str, Any]) -> str:
    """Return the dekId of the title."""
    return str(document["title"]["dekId"])


@pytest.mark.parametrize("fields", [FIELDS, None])
async def test_all_fields_get_one_fresh_dek(local_keyring: LocalKeyring, fields: list[str] | None) -> None:
    """The document reads as before under a new row, and the old row and document stay as they were."""
    old = await local_keyring.encrypted()

    new: dict[str, Any] = await local_keyring.encryption.reencrypt_fields("notes", "note-1", old, fields)

    assert {dek_of(old), dek_of(new)} == await local_keyring.dek_ids()
    assert dek_of(new) == new["author"]["name"]["dekId"] == new["parts"][1]["text"]["dekId"]
    assert old["title"]["ct"] != new["title"]["ct"]
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", new, FIELDS) == NOTE
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", old, FIELDS) == NOTE


async def test_fields_that_are_not_named_keep_their_dek(local_keyring: LocalKeyring) -> None:
    """A document may have fields under several DEKs, and reads as before."""
    old = await local_keyring.encrypted()

    new: dict[str, Any] = await local_keyring.encryption.reencrypt_fields("notes", "note-1", old, ["title"])

    assert dek_of(old) == new["author"]["name"]["dekId"]
    assert dek_of(old) != dek_of(new)
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", new, FIELDS) == NOTE


async def test_documents_move_onto_another_key_and_store(local_keyring: LocalKeyring, elsewhere: LocalKeyring) -> None:
    """What one key and store can read is written under another, and the first is not needed any more."""
    old = await local_keyring.encrypted()

    new: dict[str, Any] = await elsewhere.encryption.reencrypt_fields(
        "notes", "note-1", old, FIELDS, source=local_keyring.reader()
    )
    await local_keyring.mek.change(local_keyring.version, enabled=False)

    assert new["title"]["mekVersion"] == elsewhere.version
    assert {dek_of(new)} == await elsewhere.dek_ids()
    assert await elsewhere.reader().decrypt_fields("notes", "note-1", new, FIELDS) == NOTE


async def test_documents_move_from_a_key_in_the_environment_into_the_vault(local_keyring: LocalKeyring) -> None:
    """The way from a non-production provider to production is the same."""
    offline = FieldEncryption(EnvProvider(to_base64(bytes(32))), local_keyring.store, None)
    old = await offline.encrypt_fields("notes", "note-1", NOTE, FIELDS)

    new: dict[str, Any] = await local_keyring.encryption.reencrypt_fields(
        "notes", "note-1", old, FIELDS, source=offline
    )

    assert await local_keyring.reader().decrypt_fields("notes", "note-1", new, FIELDS) == NOTE


async def test_document_that_was_not_stored_takes_the_same_row_again(local_keyring: LocalKeyring) -> None:
    """Work that died between row and document finds its row at the second try, whatever cache it has."""
    old, dek_id = await local_keyring.encrypted(), str(uuid.uuid4())
    lost: dict[str, Any] = await local_keyring.encryption.reencrypt_fields(
        "notes", "note-1", old, FIELDS, dek_id=dek_id
    )

    again: dict[str, Any] = await local_keyring.reader().reencrypt_fields("notes", "note-1", old, FIELDS, dek_id=dek_id)

    assert {dek_of(old), dek_id} == await local_keyring.dek_ids()
    assert dek_id == dek_of(again) == dek_of(lost)
    assert lost["title"]["iv"] != again["title"]["iv"]
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", again, FIELDS) == NOTE


async def test_row_that_was_taken_may_have_been_rewrapped(local_keyring: LocalKeyring) -> None:
    """A rotation between the two tries changes nothing but the version that the document names."""
    old, dek_id = await local_keyring.encrypted(), str(uuid.uuid4())
    await local_keyring.encryption.reencrypt_fields("notes", "note-1", old, FIELDS, dek_id=dek_id)
    version = await local_keyring.mek.create()
    await local_keyring.rewrap(dek_id, version)

    again: dict[str, Any] = await local_keyring.reader().reencrypt_fields("notes", "note-1", old, FIELDS, dek_id=dek_id)

    assert again["title"]["mekVersion"] == version
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", again, FIELDS) == NOTE


async def test_finished_document_is_left_as_it_is(local_keyring: LocalKeyring, elsewhere: LocalKeyring) -> None:
    """A document that is under the DEK already is returned unchanged, though its source cannot read it."""
    old, dek_id = await local_keyring.encrypted(), str(uuid.uuid4())
    done = await elsewhere.encryption.reencrypt_fields(
        "notes", "note-1", old, FIELDS, source=local_keyring.reader(), dek_id=dek_id
    )

    again: dict[str, Any] = await elsewhere.encryption.reencrypt_fields(
        "notes", "note-1", done, FIELDS, source=local_keyring.reader(), dek_id=dek_id
    )

    assert done == again


async def test_row_that_cannot_be_opened_is_not_taken(local_keyring: LocalKeyring) -> None:
    """A row of the dekId that is not ours ends in an error, never in a document under an unknown DEK."""
    old, dek_id = await local_keyring.encrypted(), str(uuid.uuid4())
    await local_keyring.encryption.reencrypt_fields("notes", "note-1", old, FIELDS, dek_id=dek_id)
    await local_keyring.change(dek_id, wrappedDek=to_base64(bytes(256)))

    with pytest.raises(UnwrapRefusedError) as refused:
        await local_keyring.reader().reencrypt_fields("notes", "note-1", old, FIELDS, dek_id=dek_id)

    assert refused.value.dek_id == dek_id


async def test_failed_row_hands_out_no_document(local_keyring: LocalKeyring, cosmos: LocalCosmos) -> None:
    """Without its row no re-encrypted document is returned."""
    old = await local_keyring.encrypted()
    cosmos.fault(operation="create", kind="status", status=500, count=None)

    with pytest.raises(DekStoreUnavailableError):
        await local_keyring.encryption.reencrypt_fields("notes", "note-1", old, FIELDS)


async def test_document_without_encrypted_fields_makes_no_row(local_keyring: LocalKeyring) -> None:
    """There is nothing to re-encrypt, and nothing is made."""
    assert await local_keyring.encryption.reencrypt_fields("notes", "note-1", NOTE, None) == NOTE
    assert await local_keyring.dek_ids() == set()


async def test_tampered_or_missing_fields_are_refused_before_a_row_is_made(local_keyring: LocalKeyring) -> None:
    """Nothing that does not authenticate gets a fresh, valid ciphertext."""
    old = await local_keyring.encrypted()
    rows = await local_keyring.dek_ids()

    with pytest.raises(TamperedFieldError):
        await local_keyring.encryption.reencrypt_fields("notes", "note-2", old, FIELDS)
    with pytest.raises(InvalidFieldError):
        await local_keyring.encryption.reencrypt_fields("notes", "note-1", {**old, "title": "forged"}, FIELDS)
    with pytest.raises(InvalidFieldPathError):
        await local_keyring.encryption.reencrypt_fields("notes", "note-1", old, ["missing"])

    assert await local_keyring.dek_ids() == rows


async def test_value_that_holds_something_encrypted_is_not_encrypted_again(local_keyring: LocalKeyring) -> None:
    """A migration that is run twice with a wider path does not encrypt what is encrypted inside."""
    old = await local_keyring.encrypted()

    with pytest.raises(InvalidValueError, match="author"):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", old, ["author"])
