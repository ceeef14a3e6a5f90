"""Which fields of a document an operation has to do with.

A field is meant by the keyring's settings, or claims itself to be encrypted. Documents may lack fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from field_encrypt import paths
from field_encrypt.envelope import is_encrypted


def plaintext_fields(document: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """Return the paths of what the settings name, is there, and does not claim to be encrypted.

    Raises:
        InvalidFieldPathError: the settings name a field and something inside it.
    """
    return [path for path in paths.present(document, fields) if not is_encrypted(paths.get(document, path))]


def encrypted_fields(document: Mapping[str, Any], *, but_under: str | None = None) -> list[str]:
    """Return the paths of everything that claims to be encrypted, but for what names this dekId."""
    found = paths.find(document, is_encrypted)
    return [path for path in found if but_under is None or paths.get(document, path)["dekId"] != but_under]
