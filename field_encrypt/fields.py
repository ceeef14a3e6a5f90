"""One encrypted field: how a value becomes the stored form, and back.

1. The value is encoded as canonical JSON (RFC 8785); any JSON value is allowed.
2. It is encrypted with AES-256-GCM under a random 96-bit nonce. A DEK belongs to one document, so the number of
   nonces under one key stays far below the 2^32 at which random nonces become a risk.
3. The additional data is the canonical JSON of container, document id, field path and dekId: a ciphertext that is
   moved to another container, document or field, or given another dekId, does not authenticate.

``mekVersion`` in the stored form is what the writer saw. It is not authenticated and decides nothing where the row
names a version, because a rotation changes rows and never documents.
"""

import os
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field

from field_encrypt.dek import Dek
from field_encrypt.encoding import from_base64, from_canonical_json, to_base64, to_canonical_json
from field_encrypt.errors import InvalidFieldError, InvalidFieldPathError, InvalidValueError, TamperedFieldError

FORMAT: Final = 1
ALGORITHM: Final = "A256GCM"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
PROPERTIES: Final = ("enc", "alg", "dekId", "mekVersion", "iv", "ct", "tag")


class FieldPlace(BaseModel):
    """Where a field stands; a ciphertext is bound to it."""

    model_config = ConfigDict(frozen=True)

    container: str
    document_id: str
    field_path: str  # see field_encrypt.paths

    def additional_data(self, dek_id: str) -> bytes:
        """Return the bytes that are authenticated beside the ciphertext.

        Raises:
            InvalidFieldPathError: a part of the place is no valid Unicode.
        """
        parts = {
            "container": self.container,
            "documentId": self.document_id,
            "fieldPath": self.field_path,
            "dekId": dek_id,
        }
        try:
            return to_canonical_json(parts)
        except ValueError as error:
            expected = "valid Unicode in it and in the names of container, document and DEK"
            raise InvalidFieldPathError(self.field_path, expected) from error


class EncryptedField(BaseModel):
    """The stored form, parsed."""

    model_config = ConfigDict(frozen=True)

    dek_id: str
    mek_version: str
    iv: bytes
    ct: bytes = Field(repr=False)
    tag: bytes

    @classmethod
    def parse(cls, stored: object, field_path: str) -> Self:
        """Read the stored form of a field.

        Raises:
            InvalidFieldError: naming the property that is missing, unknown or malformed.
        """
        if not isinstance(stored, dict):
            raise InvalidFieldError(field_path, "enc", "an object with the properties of an encrypted field")
        for name in PROPERTIES:
            if name not in stored:
                raise InvalidFieldError(field_path, name, "to be present")
        for name in stored:
            if name not in PROPERTIES:
                raise InvalidFieldError(field_path, str(name), "no property of this name")
        if type(stored["enc"]) is not int or stored["enc"] != FORMAT:  # JSON's true equals 1 in Python
            raise InvalidFieldError(field_path, "enc", f"{FORMAT}")
        if stored["alg"] != ALGORITHM:
            raise InvalidFieldError(field_path, "alg", f'"{ALGORITHM}"')
        return cls(
            dek_id=_text(stored, "dekId", field_path),
            mek_version=_text(stored, "mekVersion", field_path),
            iv=_bytes(stored, "iv", field_path, NONCE_BYTES),
            ct=_bytes(stored, "ct", field_path, None),
            tag=_bytes(stored, "tag", field_path, TAG_BYTES),
        )

    def stored(self) -> dict[str, Any]:
        """Return the form that stands in the document."""
        return {
            "enc": FORMAT,
            "alg": ALGORITHM,
            "dekId": self.dek_id,
            "mekVersion": self.mek_version,
            "iv": to_base64(self.iv),
            "ct": to_base64(self.ct),
            "tag": to_base64(self.tag),
        }


def encrypt_value(value: Any, *, dek: Dek, dek_id: str, mek_version: str, place: FieldPlace) -> dict[str, Any]:
    """Encrypt a JSON value into the stored form of its place.

    Raises:
        InvalidValueError: the value is not one that JSON can carry exactly.
    """
    try:
        plaintext = to_canonical_json(value)
    except ValueError:
        expected = "a JSON value: finite numbers, integers within 2^53, texts of valid Unicode"
        raise InvalidValueError(place.field_path, expected) from None  # the cause's text can quote the value
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(dek.reveal()).encrypt(nonce, plaintext, place.additional_data(dek_id))
    return EncryptedField(
        dek_id=dek_id, mek_version=mek_version, iv=nonce, ct=sealed[:-TAG_BYTES], tag=sealed[-TAG_BYTES:]
    ).stored()


def decrypt_value(field: EncryptedField, *, dek: Dek, place: FieldPlace) -> Any:
    """Decrypt a field that stands at this place.

    Raises:
        TamperedFieldError: the field does not authenticate.
    """
    try:
        plaintext = AESGCM(dek.reveal()).decrypt(field.iv, field.ct + field.tag, place.additional_data(field.dek_id))
    except InvalidTag as error:
        raise TamperedFieldError(place.container, place.document_id, place.field_path, field.dek_id) from error
    return from_canonical_json(plaintext)


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
