"""One field on its own, without a provider or a dek store around it."""

from typing import Any

from field_encrypt.codecs import STANDARD_CODECS
from field_encrypt.dek import Dek
from field_encrypt.fields import seal_field
from field_encrypt.places import FieldPlace


def encrypt_value(value: Any, *, dek: Dek, place: FieldPlace) -> dict[str, Any]:
    """Encrypt a value into the stored form of its place, as the library does."""
    plaintext = STANDARD_CODECS.to_plaintext(value, place.field_path)
    return seal_field(plaintext, dek, dek_id="dek-1", mek_version="v1", place=place)
