"""Base64 and canonical JSON as the stored forms use them: one text for one value, so that no byte changes unseen."""

import base64
import binascii
import copy
import json
from collections.abc import Container, Mapping
from typing import Any

import rfc8785

LARGEST_EXACT_INTEGER = 2**53 - 1  # RFC 8785 follows I-JSON: beyond it a JSON number is a double


def exact(text: str) -> str:
    """Return a text that is no instance of a subclass, as an ``Enum`` that is written as another text than it shows."""
    return str.__str__(text)


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


def plain(value: Any, kept: Container[type] = ()) -> Any:
    """Return what JSON makes of a value: plain objects, lists, texts and numbers, shared with no caller.

    A subclass may show other contents to who looks at it than are written. Values of the kept types, and what JSON does
    not have, stay as they are.

    Raises:
        ValueError: the value is nested too deeply, or in itself.
    """
    try:
        return _plain(value, kept)
    except RecursionError:
        raise ValueError("a value that is not nested this deeply") from None


def _plain(value: Any, kept: Container[type]) -> Any:
    if type(value) in kept:
        return copy.deepcopy(value)
    if isinstance(value, Mapping):
        return {exact(name) if isinstance(name, str) else name: _plain(child, kept) for name, child in value.items()}
    # The methods of the built-in types, which is what json.dumps asks: those of a subclass may tell something else.
    if isinstance(value, list | tuple):
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        return [_plain(child, kept) for child in items]
    if isinstance(value, str):
        return exact(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__pos__(value)
    return float.__pos__(value) if isinstance(value, float) else value


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
