"""What format 2 derives from a DEK: a key for one encryption, and a commitment to that key.

One HKDF-SHA256 (RFC 5869) gives 64 bytes: the first 32 are the key, the last 32 the commitment. The label says what
the key is for, so that no two uses of a DEK share a key; the digest of the additional data binds the key to its place.
The digest and not the data itself stands there because implementations bound the length of HKDF's info (node:crypto:
1024 bytes), and a document's place may be longer.
"""

import hashlib
import hmac
import os
from typing import Final, NamedTuple, override

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from field_encrypt.dek import Dek

KEY_BYTES: Final = 32
COMMITMENT_BYTES: Final = 32  # 256 bits: finding two keys of one commitment takes 2^128 tries
SALT_BYTES: Final = 32
NONCE_BYTES: Final = 12
RANDOMIZED_LABEL: Final = b"field-encrypt/2/A256GCM-HKDF-SHA256"
DETERMINISTIC_LABEL: Final = b"field-encrypt/2/A256SIV-HKDF-SHA256"
SIV_KEY_BYTES: Final = 64  # AES-SIV has two keys of 256 bits


class Derived(NamedTuple):
    """A key and the commitment to it."""

    key: bytes
    commitment: bytes

    def is_committed_to(self, commitment: bytes) -> bool:
        """Tell in constant time whether the commitment is this key's."""
        return hmac.compare_digest(self.commitment, commitment)

    @override
    def __repr__(self) -> str:
        return "Derived(<hidden>)"


def derive(dek: Dek, *, salt: bytes, label: bytes, additional_data: bytes, key_bytes: int = KEY_BYTES) -> Derived:
    """Derive the key for one label, salt and place; no other label, salt or place gives the same key."""
    info = label + b"\0" + hashlib.sha256(additional_data).digest()
    derived = HKDF(SHA256(), key_bytes + COMMITMENT_BYTES, salt, info).derive(dek.reveal())
    return Derived(derived[:key_bytes], derived[key_bytes:])


def for_one_use(dek: Dek, additional_data: bytes) -> tuple[bytes, bytes, Derived]:
    """Return a fresh salt, a fresh nonce and the key of that salt: for one encryption, and no second one."""
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    return salt, nonce, derive(dek, salt=salt, label=RANDOMIZED_LABEL, additional_data=additional_data)


def for_equality(dek: Dek, additional_data: bytes) -> Derived:
    """Return the one key of a deterministic field: without a salt, the same for all documents."""
    return derive(
        dek,
        salt=bytes(SALT_BYTES),
        label=DETERMINISTIC_LABEL,
        additional_data=additional_data,
        key_bytes=SIV_KEY_BYTES,
    )
