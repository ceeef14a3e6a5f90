"""One encrypted field: how a value becomes the stored form, and back. FORMAT.md is the specification.

Written is format 2:

1. The value is encoded as canonical JSON (RFC 8785); values that JSON does not have by a codec (see codecs.py).
2. From the DEK and a random salt of 256 bits, HKDF-SHA256 derives a key for this one encryption and a commitment to it.
   No key is used twice, so the number of fields, documents and edits under one DEK does not bound its safety.
3. The value is encrypted with AES-256-GCM under that key. The additional data is the canonical JSON of container,
   partition key value, document id, field path, dekId and the caller's context: a ciphertext that is moved to another
   place, or given another dekId, does not open.
4. A reader compares the commitment, in constant time, before it decrypts: a field opens under one key only.

A deterministic field, an explicit choice for equality queries, is the exception: AES-SIV under one key of its container
and path, bound to no document. Equal values are equal in store.

Format 1 is read, never written: AES-256-GCM under the DEK itself, bound to neither partition key nor context.

``mekVersion`` in the stored form is what the writer saw. It is not authenticated and decides nothing where the row
names a version, because a rotation changes rows and never documents.
"""

from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from pydantic import BaseModel, ConfigDict, Field

from field_encrypt.codecs import split
from field_encrypt.dek import Dek
from field_encrypt.derivation import (
    COMMITMENT_BYTES,
    NONCE_BYTES,
    RANDOMIZED_LABEL,
    SALT_BYTES,
    derive,
    for_equality,
    for_one_use,
)
from field_encrypt.encoding import from_base64, to_base64
from field_encrypt.errors import InvalidFieldError, TamperedFieldError
from field_encrypt.places import UNSTATED, FieldPlace

__all__ = ["UNSTATED", "EncryptedField", "FieldPlace", "decrypt_value", "is_encrypted"]

FORMAT: Final = 2  # the one that is written
ALGORITHM: Final = "A256GCM-HKDF-SHA256"
DETERMINISTIC_ALGORITHM: Final = "A256SIV-HKDF-SHA256"
FORMAT_1_ALGORITHM: Final = "A256GCM"
TAG_BYTES: Final = 16

# What stands in a field beside enc, alg, dekId and mekVersion: binary values, and how long they are (None: any length).
_LABELS: Final = ("enc", "alg", "dekId", "mekVersion")
_BINARY: Final[dict[str, dict[str, int | None]]] = {
    FORMAT_1_ALGORITHM: {"iv": NONCE_BYTES, "ct": None, "tag": TAG_BYTES},
    ALGORITHM: {"salt": SALT_BYTES, "commit": COMMITMENT_BYTES, "iv": NONCE_BYTES, "ct": None, "tag": TAG_BYTES},
    DETERMINISTIC_ALGORITHM: {"commit": COMMITMENT_BYTES, "ct": None},
}
_FORMAT_OF: Final = {FORMAT_1_ALGORITHM: 1, ALGORITHM: FORMAT, DETERMINISTIC_ALGORITHM: FORMAT}
PROPERTIES: Final = (*_LABELS, *_BINARY[ALGORITHM])  # of the format that is written; format 1 has some of these


def is_encrypted(value: Any) -> bool:
    """Tell whether a value claims to be an encrypted field; parsing it tells whether it is one."""
    return isinstance(value, dict) and "enc" in value and "dekId" in value


class EncryptedField(BaseModel):
    """The stored form of either format, parsed; empty is what the algorithm does not have."""

    model_config = ConfigDict(frozen=True)

    enc: int
    alg: str
    dek_id: str
    mek_version: str
    salt: bytes = b""
    commit: bytes = b""
    iv: bytes = b""
    ct: bytes = Field(repr=False)
    tag: bytes = b""

    @property
    def is_deterministic(self) -> bool:
        """Tell whether equal values of the field are equal in store, in all documents."""
        return self.alg == DETERMINISTIC_ALGORITHM

    @classmethod
    def parse(cls, stored: object, field_path: str) -> Self:
        """Read the stored form of a field.

        Raises:
            InvalidFieldError: naming the property that is missing, unknown or malformed.
        """
        if not isinstance(stored, dict):
            raise InvalidFieldError(field_path, "enc", "an object with the properties of an encrypted field")
        enc, alg = _format_of(stored, field_path)
        lengths = _BINARY[alg]
        for name in (*_LABELS, *lengths):
            if name not in stored:
                raise InvalidFieldError(field_path, name, "to be present")
        for name in stored:
            if name not in _LABELS and name not in lengths:
                raise InvalidFieldError(field_path, str(name), "no property of this name")
        return cls(
            enc=enc,
            alg=alg,
            dek_id=_text(stored, "dekId", field_path),
            mek_version=_text(stored, "mekVersion", field_path),
            **{name: _bytes(stored, name, field_path, length) for name, length in lengths.items()},
        )

    def stored(self) -> dict[str, Any]:
        """Return the form that stands in the document."""
        labels = {"enc": self.enc, "alg": self.alg, "dekId": self.dek_id, "mekVersion": self.mek_version}
        return {**labels, **{name: to_base64(getattr(self, name)) for name in _BINARY[self.alg]}}


def decrypt_value(field: EncryptedField, *, dek: Dek, place: FieldPlace) -> Any:
    """Decrypt a field that stands at this place; a value that a codec wrote is returned as the JSON in it.

    Raises:
        TamperedFieldError: the field does not authenticate.
        InvalidFieldError: it authenticates, and its writer put something else than JSON into it.
        InvalidFieldPathError, InvalidPlaceError: the place is nothing that JSON can carry.
    """
    return split(open_field(field, dek=dek, place=place), place.field_path)[1]


def seal_field(plaintext: bytes, dek: Dek, *, dek_id: str, mek_version: str, place: FieldPlace) -> dict[str, Any]:
    """Encrypt into the stored form of a place.

    Raises:
        InvalidFieldPathError, InvalidPlaceError: the place is nothing that JSON can carry.
    """
    data = place.additional_data(dek_id)
    salt, nonce, derived = for_one_use(dek, data)
    sealed = AESGCM(derived.key).encrypt(nonce, plaintext, data)
    return EncryptedField(
        enc=FORMAT,
        alg=ALGORITHM,
        dek_id=dek_id,
        mek_version=mek_version,
        salt=salt,
        commit=derived.commitment,
        iv=nonce,
        ct=sealed[:-TAG_BYTES],
        tag=sealed[-TAG_BYTES:],
    ).stored()


def seal_deterministic(
    plaintext: bytes, dek: Dek, *, dek_id: str, mek_version: str, place: FieldPlace
) -> dict[str, Any]:
    """Encrypt so that equal plaintexts are equal in store: AES-SIV (RFC 5297) under the field's one key.

    Raises:
        InvalidFieldPathError, InvalidPlaceError: the place is nothing that JSON can carry.
    """
    data = place.deterministic_data(dek_id)
    derived = for_equality(dek, data)
    sealed = AESSIV(derived.key).encrypt(plaintext, [data])
    return EncryptedField(
        enc=FORMAT,
        alg=DETERMINISTIC_ALGORITHM,
        dek_id=dek_id,
        mek_version=mek_version,
        commit=derived.commitment,
        ct=sealed,
    ).stored()


def open_field(field: EncryptedField, *, dek: Dek, place: FieldPlace) -> bytes:
    """Return the plaintext of a field that stands at this place.

    Raises:
        TamperedFieldError: the field does not authenticate.
        InvalidFieldPathError, InvalidPlaceError: the place is nothing that JSON can carry.
    """
    try:
        if field.alg == FORMAT_1_ALGORITHM:
            data = place.additional_data_of_format_1(field.dek_id)
            return AESGCM(dek.reveal()).decrypt(field.iv, field.ct + field.tag, data)
        if field.is_deterministic:
            data = place.deterministic_data(field.dek_id)
            derived = for_equality(dek, data)
        else:
            data = place.additional_data(field.dek_id)
            derived = derive(dek, salt=field.salt, label=RANDOMIZED_LABEL, additional_data=data)
        # Before anything is decrypted: AES-GCM does not commit, a ciphertext can be made that opens under two keys.
        if derived.is_committed_to(field.commit):
            if field.is_deterministic:
                return AESSIV(derived.key).decrypt(field.ct, [data])
            return AESGCM(derived.key).decrypt(field.iv, field.ct + field.tag, data)
    except InvalidTag as error:
        raise _tampered(field, place) from error
    raise _tampered(field, place)


def _tampered(field: EncryptedField, place: FieldPlace) -> TamperedFieldError:
    return TamperedFieldError(place.container, place.document_id, place.field_path, field.dek_id)


def _format_of(stored: dict[str, Any], field_path: str) -> tuple[int, str]:
    enc, alg = stored.get("enc"), stored.get("alg")
    if type(enc) is not int or enc not in _FORMAT_OF.values():  # JSON's true equals 1 in Python
        raise InvalidFieldError(
            field_path, "enc", " or ".join(str(known) for known in sorted(set(_FORMAT_OF.values())))
        )
    if not isinstance(alg, str) or alg not in _FORMAT_OF:
        raise InvalidFieldError(field_path, "alg", " or ".join(f'"{known}"' for known in _FORMAT_OF))
    if _FORMAT_OF[alg] != enc:
        raise InvalidFieldError(field_path, "enc", f"{_FORMAT_OF[alg]}, as the algorithm {alg} says")
    return enc, alg


def _text(stored: dict[str, Any], name: str, field_path: str) -> str:
    value = stored[name]
    if not isinstance(value, str) or not value:
        raise InvalidFieldError(field_path, name, "a text that is not empty")
    return value


def _bytes(stored: dict[str, Any], name: str, field_path: str, length: int | None) -> bytes:
    raw = from_base64(stored[name])
    if raw is None:
        raise InvalidFieldError(field_path, name, "base64")
    if length is not None and len(raw) != length:
        raise InvalidFieldError(field_path, name, f"{length} bytes in base64")
    return raw
