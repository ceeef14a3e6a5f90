"""Fields and rows that another system has written: read by a codec, saved in this library's form."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt import (
    DekCache,
    DekFollower,
    DekStore,
    EncryptedContainer,
    FieldEncryption,
    FieldPlace,
    FieldPolicy,
    KeyPolicy,
    KeyVaultProvider,
    RowDefaults,
    RowNames,
    rewrap_all,
)
from field_encrypt.dek import Dek, key_check
from field_encrypt.dek_cache import UnwrappedDek
from field_encrypt.encoding import from_base64, to_base64
from field_encrypt.errors import (
    DekNotFoundError,
    InvalidFieldError,
    InvalidRowError,
    InvalidSettingError,
    InvalidValueError,
    TamperedFieldError,
)
from field_encrypt.rows import DekRow
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_vault import Mek
from tests.field_encrypt.sweeps import WoundClock

VALUE = {"title": "An older title", "pages": 7}


class NestedRows:
    """``{"id": "key:<dekId>", "wrap": {"version", "data": "<base64url>", "check": "<hex>"}}``."""

    def item_id(self, dek_id: str) -> str:
        """Return the item's id."""
        return f"key:{dek_id}"

    def read(self, item: Mapping[str, Any]) -> dict[str, object]:
        """Return the row in the library's form."""
        wrap, check = item["wrap"], item["wrap"].get("check")
        return {
            "id": item["id"].removeprefix("key:"),
            "mekVersion": wrap["version"],
            "wrappedDek": to_base64(base64.urlsafe_b64decode(wrap["data"])),
            "keyCheck": None if check is None else to_base64(bytes.fromhex(check)),
            "createdAt": item.get("made"),
        }

    def write(self, row: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, object]:
        """Return the wrap, and keep what is inside it beside the row."""
        wrap = {
            **item.get("wrap", {}),
            "version": row["mekVersion"],
            "data": base64.urlsafe_b64encode(base64.b64decode(row["wrappedDek"])).decode(),
            "check": base64.b64decode(row["keyCheck"]).hex(),
        }
        return {"wrap": wrap, "made": row["createdAt"]}


class TextFields:
    """``mine:<hex of nonce, ciphertext and tag>``; the document holds the dekId."""

    def claims(self, stored: object) -> bool:
        """Tell by the prefix."""
        return isinstance(stored, str) and stored.startswith("mine:")

    def dek_id(self, stored: object, document: Mapping[str, Any]) -> str:  # noqa: ARG002 - the protocol's signature
        """Look it up in the document."""
        return document["keys"]["body"]  # type: ignore[no-any-return] # a malformed document is part of the tests

    def open(
        self,
        stored: Any,
        document: Mapping[str, Any],  # noqa: ARG002 - the protocol's signature
        *,
        key: bytes,
        place: FieldPlace,
    ) -> object:
        """Decrypt, bound to the document's id."""
        raw = bytes.fromhex(stored.removeprefix("mine:"))
        return json.loads(AESGCM(key).decrypt(raw[:12], raw[12:], place.document_id.encode()))


@dataclass
class OtherSystem:
    """A key, a store of nested rows, and a document of another system under a DEK in it."""

    mek: Mek
    old: str
    rows: ContainerProxy
    store: DekStore
    cache: DekCache
    dek: Dek

    @classmethod
    async def create(cls, mek: Mek, client: CosmosClient) -> Self:
        """Write one row."""
        rows, old, dek = await new_container(client, "deks"), await mek.create(), Dek.generate()
        wrapped = mek.client.wrap(dek.reveal(), await mek.client.get_version(old))
        wrap = {"version": old, "data": base64.urlsafe_b64encode(wrapped).decode(), "owner": "billing"}
        await rows.create_item({"id": "key:k-1", "wrap": wrap})
        store = DekStore(rows, RowDefaults(mek_name=mek.name), codec=NestedRows())
        return cls(mek, old, rows, store, DekCache(), dek)

    def encryption(self, policy: KeyPolicy | None = None) -> FieldEncryption:
        """Return the library with both codecs."""
        provider = KeyVaultProvider(self.mek.client)
        policy = policy or KeyPolicy()
        return FieldEncryption(provider, self.store, self.cache, policy=policy, field_codecs=[TextFields()])

    def document(self, document_id: str = "note-1") -> dict[str, Any]:
        """Encrypt a document as the other system does."""
        iv = os.urandom(12)
        sealed = AESGCM(self.dek.reveal()).encrypt(iv, json.dumps(VALUE).encode(), document_id.encode())
        return {"id": document_id, "body": f"mine:{(iv + sealed).hex()}", "keys": {"body": "k-1"}}

    async def item(self, item_id: str) -> dict[str, Any]:
        """Return a row as it is stored."""
        return dict(await self.rows.read_item(item_id, partition_key=item_id))


@pytest.fixture
async def other(mek: Mek, cosmos_client: CosmosClient) -> OtherSystem:
    """A row and a document of another system."""
    return await OtherSystem.create(mek, cosmos_client)


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


MALFORMED = {
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


async def test_a_shared_dek_is_counted_in_a_row_of_another_form(other: OtherSystem) -> None:
    """Leases of uses and documents are counters of the item, beside the codec's own properties."""
    encryption = other.encryption(KeyPolicy(per="container", max_uses=1000))
    notes = [{"id": f"note-{number}", "title": "t"} for number in range(3)]

    stored = await encryption.encrypt_documents("notes", notes, ["title"])

    (dek_id,) = {str(note["title"]["dekId"]) for note in stored}  # type: ignore[index] # stored fields
    row = await other.item(f"key:{dek_id}")
    assert (row["uses"] > 0, row["documents"] > 0, "wrap" in row) == (True, True, True)


async def test_rows_of_another_form_are_moved(other: OtherSystem) -> None:
    """A rewrap keeps what is inside the wrap beside the row, and the old wrap in the library's own form."""
    target = await other.mek.create()
    await other.rows.create_item({"id": "key:bad", "wrap": "not an object"})

    result = await rewrap_all(other.store, other.mek.client, unwraps_per_second=10_000.0, clock=WoundClock())

    row = await other.item("key:k-1")
    assert (row["wrap"]["version"], row["wrap"]["owner"]) == (target, "billing")
    assert (row["wrap"]["check"], row["previousWrap"]["mekVersion"]) == (key_check(other.dek).hex(), other.old)
    assert (result.rewrapped, result.counted, [bad.id for bad in result.quarantined]) == (1, 2, ["key:bad"])
    read = await other.encryption().decrypt_fields("notes", "note-1", other.document(), ["body"])
    assert read["body"] == VALUE


async def test_a_malformed_row_is_named(other: OtherSystem) -> None:
    """A reader learns which row, and by which codec it could not be read."""
    await other.rows.create_item({"id": "key:bad", "wrap": {"version": "v"}})
    note = {**other.document(), "keys": {"body": "bad"}}

    with pytest.raises(InvalidRowError, match="NestedRows"):
        await other.encryption().decrypt_fields("notes", "note-1", note, ["body"])


async def test_the_follower_knows_rows_of_another_form(other: OtherSystem) -> None:
    """A DEK is dropped from the cache when its row's wrap is another, and kept while it is the same."""
    follower = DekFollower(other.store, other.cache)
    await follower.poll()
    wrapped = base64.urlsafe_b64decode((await other.item("key:k-1"))["wrap"]["data"])
    other.cache.put("k-1", UnwrappedDek(other.dek, wrapped))
    await other.rows.patch_item("key:k-1", "key:k-1", [{"op": "set", "path": "/note", "value": 1}])
    await follower.poll()
    kept = len(other.cache)
    await other.mek.create()
    await rewrap_all(other.store, other.mek.client, unwraps_per_second=10_000.0, clock=WoundClock())

    await follower.poll()

    assert (kept, len(other.cache)) == (1, 0)


async def test_only_the_codec_knows_the_names(other: OtherSystem) -> None:
    """Names of properties beside a codec would be names that nothing reads."""
    with pytest.raises(InvalidSettingError, match="names"):
        DekStore(other.rows, RowDefaults(mek_name="m"), RowNames(wrapped_dek="w"), codec=NestedRows())


@given(st.binary(min_size=1, max_size=600), st.binary(min_size=16, max_size=16), st.uuids(), st.text(min_size=1))
def test_a_row_survives_the_other_form(wrapped: bytes, check: bytes, dek_id: Any, version: str) -> None:
    """What a codec writes it reads again, whatever the bytes are."""
    codec, names, defaults = NestedRows(), RowNames(), RowDefaults(mek_name="mek")
    row = DekRow(
        dek_id=str(dek_id),
        mek_name="mek",
        mek_version=version,
        algorithm="RSA-OAEP-256",
        wrapped=wrapped,
        key_check=check,
    )
    plain = {"id": row.dek_id, "mekVersion": version, "wrappedDek": to_base64(wrapped), "keyCheck": to_base64(check)}

    item = {"id": codec.item_id(row.dek_id), **codec.write({**plain, "createdAt": None}, {})}

    assert DekRow.parse({**item, **codec.read(item)}, names, defaults) == row
    assert from_base64(str(codec.read(item)["wrappedDek"])) == wrapped
