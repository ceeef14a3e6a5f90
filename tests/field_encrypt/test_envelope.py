"""Documents under envelope encryption, on the local vault and the local Cosmos DB."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, override

import pytest

import field_encrypt
from field_encrypt import DekCache, FieldEncryption, KeyVaultProvider
from field_encrypt.dek import Dek, key_check
from field_encrypt.errors import (
    DekNotFoundError,
    DekStoreUnavailableError,
    FieldEncryptError,
    InvalidFieldError,
    InvalidFieldPathError,
    InvalidValueError,
    KeyCheckMismatchError,
    TamperedFieldError,
)
from field_encrypt.fields import PROPERTIES
from field_encrypt.mek_errors import MekVersionDisabledError, UnwrapRefusedError
from field_encrypt.rows import WrappedDek
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_keyring import FIELDS, NOTE, LocalKeyring


async def test_document_survives_a_round_trip(local_keyring: LocalKeyring) -> None:
    """Named fields are encrypted, nested and listed ones too; the input is left as it was."""
    stored = await local_keyring.encrypted()

    assert stored["title"].keys() == set(PROPERTIES)
    assert (stored["id"], stored["title"]["mekVersion"]) == ("note-1", local_keyring.version)
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", stored, None) == NOTE
    assert NOTE["title"] == "t"


async def test_only_named_fields_are_decrypted(local_keyring: LocalKeyring) -> None:
    """A reader that needs one field gets the others as they are stored."""
    stored = await local_keyring.encrypted()

    read = await local_keyring.reader().decrypt_fields("notes", "note-1", stored, ["title"])

    assert {**stored, "title": "t"} == read


async def test_each_document_has_a_dek_of_its_own(local_keyring: LocalKeyring) -> None:
    """The fields of one document share a DEK and two documents do not; the row is there before the document is."""
    first, second = await local_keyring.encrypted(), await local_keyring.encrypted()
    row = await local_keyring.store.read(first["title"]["dekId"])

    assert first["title"]["dekId"] == first["author"]["name"]["dekId"] == first["parts"][0]["text"]["dekId"]
    assert first["title"]["dekId"] != second["title"]["dekId"]
    assert (local_keyring.version, "RSA-OAEP-256") == (row.mek_version, row.algorithm)


async def test_row_carries_the_key_check_of_its_dek(local_keyring: LocalKeyring) -> None:
    """Whoever can unwrap can prove that the row still holds the DEK."""
    stored = await local_keyring.encrypted()
    row = await local_keyring.store.read(stored["title"]["dekId"])

    dek = Dek(await local_keyring.mek.client.unwrap(row.wrapped, local_keyring.version, row.algorithm))

    assert key_check(dek) == row.key_check


async def test_document_without_a_row_is_never_returned(local_keyring: LocalKeyring, cosmos: LocalCosmos) -> None:
    """When the row cannot be created the document is not handed out."""
    cosmos.fault(operation="create", kind="status", status=500, count=None)

    with pytest.raises(DekStoreUnavailableError):
        await local_keyring.encrypted()


async def test_cached_dek_needs_neither_row_nor_vault(local_keyring: LocalKeyring) -> None:
    """A document that was written or read before costs no vault operation."""
    stored = await local_keyring.encrypted()
    before = local_keyring.mek.operations

    for _ in range(3):
        await local_keyring.encryption.decrypt_fields("notes", "note-1", stored, FIELDS)

    assert local_keyring.mek.operations == before


async def test_document_costs_one_unwrap_however_many_fields_it_has(local_keyring: LocalKeyring) -> None:
    """Without a cache the fields of one document still share one fetch of their DEK."""
    stored = await local_keyring.encrypted()

    await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert local_keyring.mek.operations.count("unwrap") == 1


async def test_reader_follows_the_row_to_a_new_version(local_keyring: LocalKeyring) -> None:
    """After a rotation the row's version counts, not the one that the document was written under."""
    stored = await local_keyring.encrypted()
    await local_keyring.rewrap(stored["title"]["dekId"], await local_keyring.mek.create())
    await local_keyring.mek.change(local_keyring.version, enabled=False)

    assert await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE


class OvertakenProvider(KeyVaultProvider):
    """Lets a rotation happen between the read of the row and the first unwrap."""

    overtake: Callable[[], Awaitable[None]] | None = None

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Let the rotation pass by once, then unwrap."""
        if (overtake := self.overtake) is not None:
            self.overtake = None
            await overtake()
        return await super().unwrap(wrapped)


async def test_reader_that_is_overtaken_by_a_rotation_reads_the_row_again(local_keyring: LocalKeyring) -> None:
    """A row that was moved, and its old version disabled, while it was being read is still readable."""
    stored = await local_keyring.encrypted()
    new = await local_keyring.mek.create()

    async def rotation() -> None:
        await local_keyring.rewrap(stored["title"]["dekId"], new)
        await local_keyring.mek.change(local_keyring.version, enabled=False)

    provider = OvertakenProvider(local_keyring.mek.client)
    provider.overtake = rotation
    reader = FieldEncryption(provider, local_keyring.store, None)

    assert await reader.decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE


async def test_disabled_version_is_reported_when_the_row_still_names_it(local_keyring: LocalKeyring) -> None:
    """A row that was not moved cannot be read, and the error names the version."""
    stored = await local_keyring.encrypted()
    await local_keyring.mek.change(local_keyring.version, enabled=False)

    with pytest.raises(MekVersionDisabledError) as disabled:
        await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert local_keyring.version == disabled.value.version


@pytest.mark.parametrize("lacking", ["mekVersion", "mekName", "algorithm", "keyCheck"])
async def test_row_of_an_older_writer_is_readable(local_keyring: LocalKeyring, lacking: str) -> None:
    """A row without one of its labels is read by the defaults and by the version that its writer saw."""
    stored = await local_keyring.encrypted()
    await local_keyring.change(stored["title"]["dekId"], **{lacking: None})

    assert await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE


async def test_missing_row_is_named(local_keyring: LocalKeyring) -> None:
    """A document whose row is gone says which one to restore."""
    stored = await local_keyring.encrypted()
    dek_id = stored["title"]["dekId"]
    await local_keyring.rows.delete_item(dek_id, partition_key=dek_id)

    with pytest.raises(DekNotFoundError) as missing:
        await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert missing.value.dek_id == dek_id


async def test_row_that_holds_another_dek_is_detected(local_keyring: LocalKeyring) -> None:
    """A wrap that was taken from another row does not pass the key check."""
    stored, other = await local_keyring.encrypted(), await local_keyring.encrypted()
    taken = await local_keyring.rows.read_item(other["title"]["dekId"], partition_key=other["title"]["dekId"])
    await local_keyring.change(stored["title"]["dekId"], wrappedDek=taken["wrappedDek"])

    with pytest.raises(KeyCheckMismatchError):
        await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS)


async def test_changed_wrap_is_detected(local_keyring: LocalKeyring) -> None:
    """A wrap that does not unwrap is refused by the vault."""
    stored = await local_keyring.encrypted()
    await local_keyring.change(stored["title"]["dekId"], wrappedDek=base64.b64encode(bytes(256)).decode())

    with pytest.raises(UnwrapRefusedError):
        await local_keyring.reader().decrypt_fields("notes", "note-1", stored, FIELDS)


@pytest.mark.parametrize(
    ("container", "document_id", "swap"),
    [("archive", "note-1", False), ("notes", "note-2", False), ("notes", "note-1", True)],
)
async def test_moved_ciphertext_is_detected(
    local_keyring: LocalKeyring, container: str, document_id: str, *, swap: bool
) -> None:
    """A field authenticates in its own container, document and place only."""
    stored = await local_keyring.encrypted()
    if swap:
        stored["title"], stored["author"]["name"] = stored["author"]["name"], stored["title"]

    with pytest.raises(TamperedFieldError):
        await local_keyring.reader().decrypt_fields(container, document_id, stored, FIELDS)


async def test_plaintext_in_place_of_a_named_field_is_refused(local_keyring: LocalKeyring) -> None:
    """A field that should be encrypted and is not is never passed through."""
    stored = await local_keyring.encrypted()

    with pytest.raises(InvalidFieldError):
        await local_keyring.reader().decrypt_fields("notes", "note-1", {**stored, "title": "forged"}, FIELDS)


async def test_bad_input_creates_no_row(local_keyring: LocalKeyring) -> None:
    """A missing field, an encrypted value and one that JSON cannot carry are refused before any write."""
    stored = await local_keyring.encrypted()
    rows = [row async for row in local_keyring.rows.query_items("SELECT c.id FROM c")]

    with pytest.raises(InvalidFieldPathError):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", NOTE, ["missing"])
    with pytest.raises(InvalidValueError):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", stored, ["title"])
    with pytest.raises(InvalidValueError):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", {"title": float("nan")}, ["title"])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidValueError):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", {"title": endless}, ["title"])

    assert [row async for row in local_keyring.rows.query_items("SELECT c.id FROM c")] == rows


async def test_readers_of_one_document_share_one_unwrap(local_keyring: LocalKeyring) -> None:
    """Many simultaneous cold reads through a cache cost one vault operation."""
    stored = await local_keyring.encrypted()
    reader = FieldEncryption(KeyVaultProvider(local_keyring.mek.client), local_keyring.store, DekCache())

    read = await asyncio.gather(*(reader.decrypt_fields("notes", "note-1", stored, FIELDS) for _ in range(10)))

    assert read == [NOTE] * 10
    assert local_keyring.mek.operations.count("unwrap") == 1


def test_every_error_is_one_of_the_library() -> None:
    """A caller can catch the root class and misses nothing."""
    modules = [import_module(f"field_encrypt.{found.name}") for found in iter_modules(field_encrypt.__path__)]
    members = {member for module in modules for member in vars(module).values() if isinstance(member, type)}
    errors = {
        found for found in members if issubclass(found, Exception) and found.__module__.startswith("field_encrypt")
    }

    assert len(errors) > 20
    assert {found.__name__ for found in errors if not issubclass(found, FieldEncryptError)} == set()
