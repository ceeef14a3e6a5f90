"""The DEK hides its bytes, and its key check is the published one."""

import copy
import hashlib
import hmac
import pickle

import pytest

from field_encrypt.dek import Dek, key_check, matches_key_check
from field_encrypt.errors import InvalidDekError

KEY = bytes(range(100, 132))


def test_no_representation_shows_the_key() -> None:
    """Neither repr, str nor formatting shows a byte of the key."""
    dek = Dek(KEY)

    assert (repr(dek), str(dek), f"{dek}") == ("Dek(<hidden>)", "Dek(<hidden>)", "Dek(<hidden>)")


def test_key_is_never_serialised() -> None:
    """Pickling or copying by pickle's protocol is refused."""
    with pytest.raises(TypeError):
        pickle.dumps(Dek(KEY))
    with pytest.raises(TypeError):
        copy.deepcopy(Dek(KEY))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_key_of_another_length_is_refused(length: int) -> None:
    """A DEK has 32 bytes; the error says how many there were."""
    with pytest.raises(InvalidDekError) as refusal:
        Dek(bytes(length))

    assert refusal.value.length == length


def test_generated_keys_differ() -> None:
    """Each generated DEK is a new one of 32 bytes."""
    first, second = Dek.generate(), Dek.generate()

    assert len(first.reveal()) == 32
    assert first != second


def test_key_check_is_a_keyed_hash_of_a_fixed_label() -> None:
    """The key check is the first half of HMAC-SHA256 over the label, keyed by the DEK."""
    expected = hmac.new(KEY, b"keyturn/key-check/v1", hashlib.sha256).digest()[:16]

    assert key_check(Dek(KEY)) == expected


def test_key_check_matches_its_own_dek_only() -> None:
    """A key check belongs to one DEK."""
    check = key_check(Dek(KEY))

    assert matches_key_check(Dek(KEY), check)
    assert not matches_key_check(Dek.generate(), check)


def test_equal_keys_are_equal_deks() -> None:
    """DEKs compare by their bytes and can stand in sets."""
    assert Dek(KEY) == Dek(KEY)
    assert len({Dek(KEY), Dek(KEY)}) == 1
    assert Dek(KEY) != KEY
