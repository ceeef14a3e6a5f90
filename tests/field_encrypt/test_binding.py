"""A field opens in its own place and under its own key, and nowhere else."""

from dataclasses import replace
from typing import Any

import pytest
from azure.cosmos.partition_key import NonePartitionKeyValue
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, given
from hypothesis import strategies as st

from field_encrypt.dek import Dek
from field_encrypt.derivation import RANDOMIZED_LABEL, derive
from field_encrypt.errors import TamperedFieldError
from field_encrypt.fields import EncryptedField, decrypt_value, open_field
from field_encrypt.places import UNSTATED, FieldPlace
from tests.field_encrypt.one_field import encrypt_value
from tests.field_encrypt.two_keys import ciphertext_of_two_keys
from tests.vectors.field_vectors import stored_field

DEK, OTHER_DEK = Dek(bytes(range(32))), Dek(bytes(range(32, 64)))
NAMES = st.text(min_size=1, max_size=20)
COMPONENTS = st.text(max_size=20) | st.integers(-5, 5) | st.booleans() | st.sampled_from([None, NonePartitionKeyValue])
PLACES = st.builds(
    FieldPlace,
    container=NAMES,
    document_id=NAMES,
    field_path=NAMES,
    partition_key=st.just(UNSTATED) | COMPONENTS | st.lists(COMPONENTS, min_size=1, max_size=3),
    context=st.none() | st.dictionaries(NAMES, st.text(max_size=20) | st.integers(-5, 5), max_size=3),
)
MEMBERS = ("container", "document_id", "field_path", "partition_key", "context")


def sealed(place: FieldPlace, dek: Dek = DEK) -> EncryptedField:
    """Encrypt the example value in a place."""
    stored = encrypt_value("a title", dek=dek, place=place)
    return EncryptedField.parse(stored, place.field_path)


@given(place=PLACES, other=PLACES, members=st.sets(st.sampled_from(MEMBERS), min_size=1))
def test_field_opens_in_its_own_place_only(place: FieldPlace, other: FieldPlace, members: set[str]) -> None:
    """Whichever members of the place are another's, it opens neither there nor, the other way round, from there."""
    elsewhere = replace(place, **{name: getattr(other, name) for name in members})
    assume(place.additional_data("dek-1") != elsewhere.additional_data("dek-1"))

    for written, read in ((place, elsewhere), (elsewhere, place)):
        field = sealed(written)

        assert decrypt_value(field, dek=DEK, place=written) == "a title"
        with pytest.raises(TamperedFieldError):
            decrypt_value(field, dek=DEK, place=read)


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_of_the_place_is_bound(member: str) -> None:
    """Each alone keeps the field from opening."""
    place = FieldPlace(container="a", document_id="a", field_path="a", partition_key="a", context={"a": "a"})
    change: dict[str, Any] = {member: {"a": "b"} if member == "context" else "b"}
    elsewhere = replace(place, **change)

    with pytest.raises(TamperedFieldError):
        decrypt_value(sealed(place), dek=DEK, place=elsewhere)


def crafted(place: FieldPlace) -> tuple[EncryptedField, bytes]:
    """Return a field that is committed to the first DEK, but which AES-GCM opens under both; and the other key."""
    salt, nonce = bytes(32), bytes(12)
    data = place.additional_data("dek-1")
    first, second = (derive(dek, salt=salt, label=RANDOMIZED_LABEL, additional_data=data) for dek in (DEK, OTHER_DEK))
    ct, tag = ciphertext_of_two_keys(first.key, second.key, nonce, data)
    parts: dict[str, Any] = {"salt": salt, "commit": first.commitment, "iv": nonce, "ct": ct, "tag": tag}
    field = EncryptedField(enc=2, alg="A256GCM-HKDF-SHA256", dek_id="dek-1", mek_version="v1", **parts)
    return field, second.key


def test_ciphertext_that_decrypts_under_two_keys_opens_under_one() -> None:
    """The commitment refuses what the cipher would accept."""
    place = FieldPlace(container="notes", document_id="note-1", field_path="title", partition_key="w-1")
    field, other_key = crafted(place)

    assert len(AESGCM(other_key).decrypt(field.iv, field.ct + field.tag, place.additional_data("dek-1"))) == 32
    assert len(open_field(field, dek=DEK, place=place)) == 32
    with pytest.raises(TamperedFieldError) as refused:
        open_field(field, dek=OTHER_DEK, place=place)
    assert refused.value.__cause__ is None  # the cipher was not asked


def test_key_is_another_for_every_dek_salt_place_and_use() -> None:
    """Nothing that goes into the derivation can be exchanged for something else."""
    usual: dict[str, Any] = {"salt": bytes(32), "label": b"a", "additional_data": b"data"}
    changes: list[dict[str, Any]] = [{}, {"salt": b"\1" * 32}, {"label": b"b"}, {"additional_data": b"other"}]
    derived = [derive(DEK, **{**usual, **change}) for change in changes] + [derive(OTHER_DEK, **usual)]

    assert 5 == len({one.key for one in derived}) == len({one.commitment for one in derived})
    assert all(one.key != one.commitment and "hidden" in repr(one) for one in derived)


@pytest.mark.parametrize("partition_key", [UNSTATED, "w-1", ["a", 1]])
@pytest.mark.parametrize("context", [None, {"tenant": "t-1"}])
def test_format_1_is_read_whatever_is_stated(partition_key: Any, context: dict[str, str] | None) -> None:
    """It binds neither partition key nor context: a caller who states them still reads its old documents."""
    place = FieldPlace(
        container="notes", document_id="note-1", field_path="title", partition_key=partition_key, context=context
    )

    assert decrypt_value(EncryptedField.parse(stored_field('"A title"'), "title"), dek=DEK, place=place) == "A title"
