"""The stored form of one field: round trips, strict parsing, tampering."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt.dek import Dek
from field_encrypt.errors import InvalidFieldError, InvalidValueError, TamperedFieldError
from field_encrypt.fields import PROPERTIES, EncryptedField, FieldPlace, decrypt_value
from tests.field_encrypt.one_field import encrypt_value

DEK = Dek(bytes(range(32)))
PLACE = FieldPlace(container="notes", document_id="note-1", field_path="title")
BINARY = ["salt", "commit", "iv", "ct", "tag"]
EXACT_INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | EXACT_INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def encrypted(value: Any = "a title") -> dict[str, Any]:
    """Encrypt a value at the example place."""
    return encrypt_value(value, dek=DEK, place=PLACE)


def decrypted(stored: dict[str, Any], place: FieldPlace = PLACE, dek: Dek = DEK) -> Any:
    """Parse and decrypt a stored field."""
    return decrypt_value(EncryptedField.parse(stored, place.field_path), dek=dek, place=place)


@given(value=JSON_VALUES)
def test_any_json_value_survives_a_round_trip(value: Any) -> None:
    """Whatever JSON can carry comes back equal, and what came back can be encrypted again."""
    back = decrypted(encrypted(value))

    assert value == back
    assert decrypted(encrypted(back)) == value


@pytest.mark.parametrize("value", [True, False, 0, 1, None, "", [], {}, {"enc": 1}])
def test_values_keep_their_type(value: Any) -> None:
    """A boolean stays a boolean and an empty value stays what it was."""
    back = decrypted(encrypted(value))

    assert (type(value), value) == (type(back), back)


def test_stored_form_is_the_one_of_the_format() -> None:
    """The stored form has exactly the properties of format 2, each of its length."""
    stored = encrypted()
    labels = (stored["enc"], stored["alg"], stored["dekId"], stored["mekVersion"])

    assert tuple(stored) == PROPERTIES
    assert labels == (2, "A256GCM-HKDF-SHA256", "dek-1", "v1")
    assert [len(base64.b64decode(stored[name])) for name in ("salt", "commit", "iv", "tag")] == [32, 32, 12, 16]


def test_additional_data_is_canonical_json_of_the_place() -> None:
    """The additional data is RFC 8785 JSON: sorted names, no spaces."""
    expected = b'{"container":"notes","dekId":"dek-1","documentId":"note-1","fieldPath":"title"}'

    assert PLACE.additional_data("dek-1") == expected


def test_no_two_encryptions_are_equal() -> None:
    """A fresh salt and nonce are drawn for each encryption."""
    first, second = encrypted(), encrypted()

    assert all(first[name] != second[name] for name in ("salt", "commit", "iv", "ct", "tag"))


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, [b"bytes"], {1: "x"}, "\ud800", {"\ud800": 1, "b": 2}, object()]
)
def test_value_that_json_cannot_carry_is_refused_by_its_field(value: Any) -> None:
    """The error names the field and never quotes the value."""
    with pytest.raises(InvalidValueError) as refusal:
        encrypted(value)

    assert refusal.value.field_path == "title"
    assert "9007199254740992" not in str(refusal.value)


def test_value_that_is_nested_without_end_is_refused() -> None:
    """A value that refers to itself ends in the library's own error."""
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InvalidValueError):
        encrypted(value)


@pytest.mark.parametrize("name", PROPERTIES)
def test_missing_property_is_named(name: str) -> None:
    """A stored field that lacks a property is refused with that property's name."""
    stored = encrypted()
    del stored[name]

    with pytest.raises(InvalidFieldError) as refusal:
        decrypted(stored)

    assert refusal.value.property_name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enc", 3),
        ("enc", 1),
        ("enc", True),
        ("enc", 2.0),
        ("enc", "2"),
        ("alg", "A128GCM"),
        ("alg", None),
        ("dekId", ""),
        ("dekId", 7),
        ("mekVersion", None),
        ("salt", "AAAA"),
        ("commit", ""),
        ("iv", "AAAA"),
        ("iv", "not base64!"),
        ("iv", 5),
        ("ct", "x"),
        ("ct", None),
        ("tag", ""),
        ("tag", base64.urlsafe_b64encode(b"\xff" * 16).decode()),
        ("more", 1),
    ],
)
def test_malformed_property_is_named(name: str, value: Any) -> None:
    """A property of the wrong kind, length or value is refused with its name, and so is one that is unknown."""
    with pytest.raises(InvalidFieldError) as refusal:
        decrypted({**encrypted(), name: value})

    assert (refusal.value.property_name, refusal.value.field_path) == (name, "title")


@pytest.mark.parametrize("stored", ["text", None, [], 5])
def test_plaintext_where_an_encrypted_field_should_be_is_refused(stored: Any) -> None:
    """Ciphertext that was replaced by plaintext never passes as the field's value."""
    with pytest.raises(InvalidFieldError) as refusal:
        decrypted(stored)

    assert refusal.value.property_name == "enc"


@pytest.mark.parametrize("name", BINARY)
def test_every_changed_character_of_the_binary_properties_is_detected(name: str) -> None:
    """No character of the binary properties can change unseen, the unused bits at the end included."""
    stored = encrypted("xy")
    for position, character in enumerate(stored[name]):
        other = "A" if character != "A" else "B"
        changed = {**stored, name: stored[name][:position] + other + stored[name][position + 1 :]}

        with pytest.raises((TamperedFieldError, InvalidFieldError)):
            decrypted(changed)


@given(bit=st.integers(0, 7), position=st.integers(0, 10**6), name=st.sampled_from(BINARY))
def test_flipped_bit_is_named_with_the_field(bit: int, position: int, name: str) -> None:
    """A flipped bit does not authenticate, and the error names document, field and DEK."""
    stored = encrypted()
    raw = bytearray(base64.b64decode(stored[name]))
    raw[position % len(raw)] ^= 1 << bit

    with pytest.raises(TamperedFieldError) as tampered:
        decrypted({**stored, name: base64.b64encode(raw).decode()})

    error = tampered.value
    assert (
        error.container,
        error.document_id,
        error.field_path,
        error.dek_id,
    ) == ("notes", "note-1", "title", "dek-1")


@pytest.mark.parametrize(
    "place",
    [
        FieldPlace(container="other", document_id="note-1", field_path="title"),
        FieldPlace(container="notes", document_id="note-2", field_path="title"),
        FieldPlace(container="notes", document_id="note-1", field_path="body"),
    ],
)
def test_field_that_was_moved_is_detected(place: FieldPlace) -> None:
    """A ciphertext authenticates in its own container, document and field only."""
    with pytest.raises(TamperedFieldError):
        decrypted(encrypted(), place)


def test_field_that_names_another_dek_is_detected() -> None:
    """The dekId is authenticated, even where the other DEK has the same bytes."""
    with pytest.raises(TamperedFieldError):
        decrypted({**encrypted(), "dekId": "dek-2"})


def test_field_under_another_dek_is_detected() -> None:
    """Another DEK does not open the field."""
    with pytest.raises(TamperedFieldError):
        decrypted(encrypted(), dek=Dek.generate())
