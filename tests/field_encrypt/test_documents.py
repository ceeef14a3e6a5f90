"""Many documents at once: a DEK each, one fetch of each, a bounded number of them at a time."""

import asyncio
from typing import Any, override

import pytest

from field_encrypt import FieldEncryption, KeyVaultProvider
from field_encrypt.dek import Dek
from field_encrypt.errors import DekNotFoundError, InvalidFieldPathError, TamperedFieldError
from field_encrypt.rows import WrappedDek
from tests.field_encrypt.local_keyring import FIELDS, NOTE, LocalKeyring

NOTES: list[dict[str, Any]] = [{**NOTE, "id": f"note-{number}", "title": f"t{number}"} for number in range(12)]


class CountingProvider(KeyVaultProvider):
    """Knows how many unwraps were under way at the same time at most."""

    under_way = most = 0

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Unwrap, counted."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)  # gives every other document its turn to begin
            return await super().unwrap(wrapped)
        finally:
            self.under_way -= 1


async def test_documents_come_back_in_their_order(local_keyring: LocalKeyring) -> None:
    """Each document gets a DEK of its own and its own id's place, and all are read in the order in which they came."""
    stored: list[dict[str, Any]] = await local_keyring.encryption.encrypt_documents("notes", NOTES, FIELDS)

    assert len(NOTES) == len({note["title"]["dekId"] for note in stored}) == len(await local_keyring.dek_ids())
    assert await local_keyring.reader().decrypt_documents("notes", stored, FIELDS) == NOTES
    assert NOTES[3] == await local_keyring.reader().decrypt_fields("notes", "note-3", stored[3], FIELDS)


async def test_shared_dek_is_fetched_once(local_keyring: LocalKeyring) -> None:
    """Copies of a document share one fetch of their DEK in a reader without a cache too."""
    stored = await local_keyring.encrypted()

    read = await local_keyring.reader().decrypt_documents("notes", [stored] * 8, None)

    assert read == [NOTE] * 8
    assert local_keyring.mek.operations.count("unwrap") == 1


@pytest.mark.parametrize("at_once", [1, 3])
async def test_no_more_documents_than_asked_for_are_under_way(local_keyring: LocalKeyring, at_once: int) -> None:
    """The bound is reached and never passed."""
    stored = await local_keyring.encryption.encrypt_documents("notes", NOTES, FIELDS, at_once=at_once)
    provider = CountingProvider(local_keyring.mek.client)

    await FieldEncryption(provider, local_keyring.store, None).decrypt_documents(
        "notes", stored, FIELDS, at_once=at_once
    )

    assert provider.most == at_once


async def test_no_documents_are_no_work(local_keyring: LocalKeyring) -> None:
    """An empty list stays empty."""
    assert await local_keyring.encryption.encrypt_documents("notes", [], FIELDS) == []
    assert await local_keyring.reader().decrypt_documents("notes", [], FIELDS) == []


async def test_failure_names_its_document(local_keyring: LocalKeyring) -> None:
    """One document that fails fails the whole call, with the error that it would have had alone."""
    stored: list[dict[str, Any]] = await local_keyring.encryption.encrypt_documents("notes", NOTES, FIELDS)
    stored[7]["title"], stored[7]["author"]["name"] = stored[7]["author"]["name"], stored[7]["title"]

    with pytest.raises(TamperedFieldError) as tampered:
        await local_keyring.reader().decrypt_documents("notes", stored, FIELDS)

    assert tampered.value.document_id == "note-7"
    assert tampered.value.__notes__ == ["document note-7"]


async def test_missing_row_names_its_document(local_keyring: LocalKeyring) -> None:
    """An error that is about a row says which document needs it."""
    stored: list[dict[str, Any]] = await local_keyring.encryption.encrypt_documents("notes", NOTES[:2], FIELDS)
    await local_keyring.rows.delete_item(stored[1]["title"]["dekId"], partition_key=stored[1]["title"]["dekId"])

    with pytest.raises(DekNotFoundError) as missing:
        await local_keyring.reader().decrypt_documents("notes", stored, FIELDS)

    assert missing.value.__notes__ == ["document note-1"]
    assert missing.value.__cause__ is not None


@pytest.mark.parametrize("document", [{}, {"id": ""}, {"id": 5}])
async def test_document_without_an_id_is_refused(local_keyring: LocalKeyring, document: dict[str, Any]) -> None:
    """The place of a document without an id would be nowhere."""
    with pytest.raises(InvalidFieldPathError, match="id"):
        await local_keyring.encryption.encrypt_documents("notes", [{"title": "t", **document}], ["title"])


async def test_nothing_to_encrypt_makes_no_row(local_keyring: LocalKeyring) -> None:
    """A document whose named lists are empty is returned as it is, and costs nothing."""
    document = {"id": "note-1", "parts": []}

    assert await local_keyring.encryption.encrypt_fields("notes", "note-1", document, ["parts/*/text"]) == document
    assert await local_keyring.dek_ids() == set()
