"""Rows of another form: counted, moved and followed as the library's own are."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt import (
    DekFollower,
    DekStore,
    KeyPolicy,
    RowDefaults,
    RowNames,
    rewrap_all,
)
from field_encrypt.dek import key_check
from field_encrypt.dek_cache import UnwrappedDek
from field_encrypt.encoding import from_base64, to_base64
from field_encrypt.errors import (
    InvalidRowError,
    InvalidSettingError,
)
from field_encrypt.rows import DekRow
from tests.field_encrypt.other_forms import VALUE, NestedRows, OtherSystem
from tests.field_encrypt.sweeps import WoundClock


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
