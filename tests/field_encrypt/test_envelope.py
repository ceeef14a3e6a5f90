"""Documents under envelope encryption, on the local vault and the local Cosmos DB."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import override

import pytest

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
from tests.field_encrypt.world import FIELDS, NOTE, World


async def test_document_survives_a_round_trip(world: World) -> None:
    """Named fields are encrypted, nested and listed ones too; the input is left as it was."""
    stored = await world.encrypted()

    assert stored["title"].keys() == set(PROPERTIES)
    assert (stored["id"], stored["title"]["mekVersion"]) == ("note-1", world.version)
    assert await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE
    assert await world.reader().decrypt_fields("notes", "note-1", stored, None) == NOTE
    assert NOTE["title"] == "t"


async def test_only_named_fields_are_decrypted(world: World) -> None:
    """A reader that needs one field gets the others as they are stored."""
    stored = await world.encrypted()

    read = await world.reader().decrypt_fields("notes", "note-1", stored, ["title"])

    assert {**stored, "title": "t"} == read


async def test_each_document_has_a_dek_of_its_own(world: World) -> None:
    """The fields of one document share a DEK and two documents do not; the row is there before the document is."""
    first, second = await world.encrypted(), await world.encrypted()
    row = await world.store.read(first["title"]["dekId"])

    assert first["title"]["dekId"] == first["author"]["name"]["dekId"] == first["parts"][0]["text"]["dekId"]
    assert first["title"]["dekId"] != second["title"]["dekId"]
    assert (world.version, "RSA-OAEP-256") == (row.mek_version, row.algorithm)


async def test_row_carries_the_key_check_of_its_dek(world: World) -> None:
    """Whoever can unwrap can prove that the row still holds the DEK."""
    stored = await world.encrypted()
    row = await world.store.read(stored["title"]["dekId"])

    dek = Dek(await world.mek.client.unwrap(row.wrapped, world.version, row.algorithm))

    assert key_check(dek) == row.key_check


async def test_document_without_a_row_is_never_returned(world: World, cosmos: LocalCosmos) -> None:
    """When the row cannot be created the document is not handed out."""
    cosmos.fault(operation="create", kind="status", status=500, count=None)

    with pytest.raises(DekStoreUnavailableError):
        await world.encrypted()


async def test_cached_dek_needs_neither_row_nor_vault(world: World) -> None:
    """A document that was written or read before costs no vault operation."""
    stored = await world.encrypted()
    before = world.mek.operations

    for _ in range(3):
        await world.encryption.decrypt_fields("notes", "note-1", stored, FIELDS)

    assert world.mek.operations == before


async def test_document_costs_one_unwrap_however_many_fields_it_has(world: World) -> None:
    """Without a cache the fields of one document still share one fetch of their DEK."""
    stored = await world.encrypted()

    await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert world.mek.operations.count("unwrap") == 1


async def test_reader_follows_the_row_to_a_new_version(world: World) -> None:
    """After a rotation the row's version counts, not the one that the document was written under."""
    stored = await world.encrypted()
    await world.rewrap(stored["title"]["dekId"], await world.mek.create())
    await world.mek.change(world.version, enabled=False)

    assert await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE


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


async def test_reader_that_is_overtaken_by_a_rotation_reads_the_row_again(world: World) -> None:
    """A row that was moved, and its old version disabled, while it was being read is still readable."""
    stored = await world.encrypted()
    new = await world.mek.create()

    async def rotation() -> None:
        await world.rewrap(stored["title"]["dekId"], new)
        await world.mek.change(world.version, enabled=False)

    provider = OvertakenProvider(world.mek.client)
    provider.overtake = rotation
    reader = FieldEncryption(provider, world.store, None)

    assert await reader.decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE


async def test_disabled_version_is_reported_when_the_row_still_names_it(world: World) -> None:
    """A row that was not moved cannot be read, and the error names the version."""
    stored = await world.encrypted()
    await world.mek.change(world.version, enabled=False)

    with pytest.raises(MekVersionDisabledError) as disabled:
        await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert world.version == disabled.value.version


@pytest.mark.parametrize("lacking", ["mekVersion", "mekName", "algorithm", "keyCheck"])
async def test_row_of_an_older_writer_is_readable(world: World, lacking: str) -> None:
    """A row without one of its labels is read by the defaults and by the version that its writer saw."""
    stored = await world.encrypted()
    await world.change(stored["title"]["dekId"], **{lacking: None})

    assert await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS) == NOTE


async def test_missing_row_is_named(world: World) -> None:
    """A document whose row is gone says which one to restore."""
    stored = await world.encrypted()
    dek_id = stored["title"]["dekId"]
    await world.rows.delete_item(dek_id, partition_key=dek_id)

    with pytest.raises(DekNotFoundError) as missing:
        await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS)

    assert missing.value.dek_id == dek_id


async def test_row_that_holds_another_dek_is_detected(world: World) -> None:
    """A wrap that was taken from another row does not pass the key check."""
    stored, other = await world.encrypted(), await world.encrypted()
    taken = await world.rows.read_item(other["title"]["dekId"], partition_key=other["title"]["dekId"])
    await world.change(stored["title"]["dekId"], wrappedDek=taken["wrappedDek"])

    with pytest.raises(KeyCheckMismatchError):
        await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS)


async def test_changed_wrap_is_detected(world: World) -> None:
    """A wrap that does not unwrap is refused by the vault."""
    stored = await world.encrypted()
    await world.change(stored["title"]["dekId"], wrappedDek=base64.b64encode(bytes(256)).decode())

    with pytest.raises(UnwrapRefusedError):
        await world.reader().decrypt_fields("notes", "note-1", stored, FIELDS)


@pytest.mark.parametrize(
    ("container", "document_id", "swap"),
    [("archive", "note-1", False), ("notes", "note-2", False), ("notes", "note-1", True)],
)
async def test_moved_ciphertext_is_detected(world: World, container: str, document_id: str, *, swap: bool) -> None:
    """A field authenticates in its own container, document and place only."""
    stored = await world.encrypted()
    if swap:
        stored["title"], stored["author"]["name"] = stored["author"]["name"], stored["title"]

    with pytest.raises(TamperedFieldError):
        await world.reader().decrypt_fields(container, document_id, stored, FIELDS)


async def test_plaintext_in_place_of_a_named_field_is_refused(world: World) -> None:
    """A field that should be encrypted and is not is never passed through."""
    stored = await world.encrypted()

    with pytest.raises(InvalidFieldError):
        await world.reader().decrypt_fields("notes", "note-1", {**stored, "title": "forged"}, FIELDS)


async def test_bad_input_creates_no_row(world: World) -> None:
    """A missing field, an encrypted value and one that JSON cannot carry are refused before any write."""
    stored = await world.encrypted()
    rows = [row async for row in world.rows.query_items("SELECT c.id FROM c")]

    with pytest.raises(InvalidFieldPathError):
        await world.encryption.encrypt_fields("notes", "note-1", NOTE, ["missing"])
    with pytest.raises(InvalidValueError):
        await world.encryption.encrypt_fields("notes", "note-1", stored, ["title"])
    with pytest.raises(InvalidValueError):
        await world.encryption.encrypt_fields("notes", "note-1", {"title": float("nan")}, ["title"])

    assert [row async for row in world.rows.query_items("SELECT c.id FROM c")] == rows


async def test_readers_of_one_document_share_one_unwrap(world: World) -> None:
    """Many simultaneous cold reads through a cache cost one vault operation."""
    stored = await world.encrypted()
    reader = FieldEncryption(KeyVaultProvider(world.mek.client), world.store, DekCache())

    read = await asyncio.gather(*(reader.decrypt_fields("notes", "note-1", stored, FIELDS) for _ in range(10)))

    assert read == [NOTE] * 10
    assert world.mek.operations.count("unwrap") == 1


async def test_every_error_is_one_of_the_library(world: World) -> None:
    """A caller can catch the root class and misses nothing."""
    with pytest.raises(FieldEncryptError):
        await world.reader().decrypt_fields("notes", "note-1", {"title": {"enc": 1, "dekId": "x"}}, None)
