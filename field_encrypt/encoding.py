"""Base64 and canonical JSON as the stored forms use them: one text for one value, so that no byte changes unseen."""

import base64
import binascii
import json
from typing import Any

import rfc8785

LARGEST_EXACT_INTEGER = 2**53 - 1  # RFC 8785 follows I-JSON: beyond it a JSON number is a double


def to_base64(raw: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def from_base64(text: object) -> bytes | None:
    """Return the bytes of a base64 text, or None if it is not the one text that encodes them.

    Python's own decoder also takes texts whose unused last bits are set; those would be changes that nothing detects.
    """
    if not isinstance(text, str):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if to_base64(raw) == text else None


def to_canonical_json(value: Any) -> bytes:
    """Return RFC 8785 canonical JSON.

    Raises:
        ValueError: the value is no JSON value, or holds an integer, a float or a text that I-JSON cannot represent.
    """
    try:
        return rfc8785.dumps(value)
    except RecursionError as error:
        raise ValueError("a value that is not nested this deeply") from error


def from_canonical_json(raw: bytes) -> Any:
    """Return the value of canonical JSON.

    A whole double is written like an integer; beyond the exact range it becomes a float again, so that what was
    decrypted can be encrypted.
    """
    return json.loads(raw, parse_int=_number)


def _number(text: str) -> int | float:
    number = int(text)
    return number if abs(number) <= LARGEST_EXACT_INTEGER else float(text)
