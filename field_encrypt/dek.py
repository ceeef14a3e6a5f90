"""The data encryption key: 256 random bits that no text, log or representation shows."""

import hashlib
import hmac
import os
from typing import Self, final, override

from field_encrypt.errors import InvalidDekError

DEK_BYTES = 32
KEY_CHECK_BYTES = 16
KEY_CHECK_LABEL = b"keyturn/key-check/v1"  # separates this use of the DEK from encryption


@final
class Dek:
    """A data encryption key; :meth:`reveal` is the only way to its bytes."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != DEK_BYTES:
            raise InvalidDekError(len(key))
        self._key = bytes(key)

    @classmethod
    def generate(cls) -> Self:
        """Make a new DEK from the operating system's random source."""
        return cls(os.urandom(DEK_BYTES))

    def reveal(self) -> bytes:
        """Return the key's bytes, for a cipher or a wrap only."""
        return self._key

    @override
    def __repr__(self) -> str:
        return "Dek(<hidden>)"

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dek) and hmac.compare_digest(self._key, other._key)

    @override
    def __hash__(self) -> int:
        # Two DEKs of one value meet in one bucket, and the hash of a key is never the key's own bytes.
        return hash(key_check(self))

    @override
    def __reduce__(self) -> str:
        raise TypeError("a Dek is never pickled: its bytes would leave memory")


def key_check(dek: Dek) -> bytes:
    """Return the 16 bytes by which anyone who can unwrap a row proves that it still holds this DEK."""
    return hmac.digest(dek.reveal(), KEY_CHECK_LABEL, hashlib.sha256)[:KEY_CHECK_BYTES]


def matches_key_check(dek: Dek, expected: bytes) -> bool:
    """Tell in constant time whether the key check was made with this DEK."""
    return hmac.compare_digest(key_check(dek), expected)
