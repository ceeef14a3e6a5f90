"""Fields that another system has written: read by a codec, saved in this library's form."""

from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import (
    EncryptedContainer,
    FieldPolicy,
)
from field_encrypt.errors import (
    DekNotFoundError,
    InvalidFieldError,
    InvalidValueError,
    TamperedFieldError,
)
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.other_forms import VALUE, OtherSystem


@pytest.mark.parametrize("fields", [["body"], None])
async def test_a_field_of_another_form_is_read(other: OtherSystem, fields: list[str] | None) -> None:
    """Named or found, under the DEK that its document names, in a row of another form."""
    note = other.document()

    read = await other.encryption().decrypt_fields("notes", "note-1", note, fields)
    (many,) = await other.encryption().decrypt_documents("notes", [note], fields)

    assert read == many == {**note, "body": VALUE}


async def test_it_is_saved_in_this_librarys_form(other: OtherSystem, cosmos_client: CosmosClient) -> None:
    """A save of what was read writes format 2 under a DEK of its own, in a new row of the store's form."""
    container = await new_container(cosmos_client, "notes")
    await container.create_item(other.document())
    notes = EncryptedContainer(container, other.encryption(), FieldPolicy(container.id, ["body"]))

    await notes.upsert_item(await notes.read_item("note-1", "note-1"))

    stored = dict(await container.read_item("note-1", partition_key="note-1"))
    row = await other.item(f"key:{stored['body']['dekId']}")
    assert (stored["body"]["enc"], set(row["wrap"])) == (2, {"version", "data", "check"})
    assert (await notes.read_item("note-1", "note-1"))["body"] == VALUE


async def test_it_is_re_encrypted(other: OtherSystem) -> None:
    """Also onto the DEK that it is under already: its form is another."""
    encryption, note = other.encryption(), other.document()

    moved = await encryption.reencrypt_fields("notes", "note-1", note, None)
    same = await encryption.reencrypt_fields("notes", "note-1", note, None, dek_id="k-1")

    assert (moved["body"]["enc"], same["body"]["enc"], same["body"]["dekId"]) == (2, 2, "k-1")  # type: ignore[index] # stored fields
    assert moved["body"]["dekId"] != "k-1"  # type: ignore[index] # a stored field
    for stored in (moved, same):
        assert (await encryption.decrypt_fields("notes", "note-1", stored, ["body"]))["body"] == VALUE


async def test_it_is_not_encrypted_a_second_time(other: OtherSystem) -> None:
    """What a codec claims is encrypted already, whatever it looks like and whatever the caller expects."""
    note = {**other.document(), "list": [other.document()["body"]]}

    for field in ("body", "list"):
        with pytest.raises(InvalidValueError, match=field):
            await other.encryption().encrypt_fields("notes", "note-1", note, [field], may_look_encrypted=[field])


async def test_a_changed_field_is_refused(other: OtherSystem) -> None:
    """Bytes or a place of another document do not authenticate."""
    note = other.document()
    flipped = note["body"][:-1] + ("0" if note["body"][-1] != "0" else "1")

    for changed, document_id in (({**note, "body": flipped}, "note-1"), (note, "note-2")):
        with pytest.raises(TamperedFieldError, match="k-1"):
            await other.encryption().decrypt_fields("notes", document_id, changed, ["body"])


MALFORMED: dict[str, dict[str, Any]] = {
    "not the codec's encoding": {"body": "mine:SECRET"},
    "too short for a nonce": {"body": "mine:00"},
    "no dekId": {"keys": {}},
    "no keys": {"keys": None},
    "a dekId that is no text": {"keys": {"body": 7}},
    "an empty dekId": {"keys": {"body": ""}},
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_field_that_the_codec_does_not_read_is_named(other: OtherSystem, case: str) -> None:
    """The error names the field and the codec, and quotes nothing of it, in its causes neither."""
    note = {**other.document(), **MALFORMED[case]}

    with pytest.raises(InvalidFieldError, match="TextFields") as raised:
        await other.encryption().decrypt_fields("notes", "note-1", note, ["body"])

    assert "SECRET" not in f"{raised.value}{raised.value.__cause__}"
    assert raised.value.__cause__ is None


async def test_a_dek_without_a_row_is_missing(other: OtherSystem) -> None:
    """The id that the error names is the DEK's, as the document has it."""
    note = {**other.document(), "keys": {"body": "k-2"}}

    with pytest.raises(DekNotFoundError) as raised:
        await other.encryption().decrypt_fields("notes", "note-1", note, ["body"])

    assert raised.value.dek_id == "k-2"
