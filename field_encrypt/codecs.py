"""Values that JSON does not have, inside an encrypted field: which codec wrote them is told in the plaintext.

A plaintext is canonical JSON, or ``@name:`` in front of the canonical JSON that the codec of that name made of the
value. No JSON text begins with ``@``. The name is encrypted and authenticated with the value.
"""

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Self, cast
from uuid import UUID

from field_encrypt.encoding import from_base64, from_canonical_json, to_canonical_json
from field_encrypt.errors import InvalidFieldError, InvalidSettingError, InvalidValueError, UnknownCodecError

_TAGGED: Final = re.compile(rb"@([a-z][a-z0-9_.-]{0,63}):(.*)", re.DOTALL)
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
JSON_VALUE: Final = (
    "a JSON value (finite numbers, integers within 2^53, texts of valid Unicode), or one of a codec's type"
)


@dataclass(frozen=True, slots=True)
class _Codec:
    name: str
    kind: type[object]
    encode: Callable[[object], object]
    decode: Callable[[object], object]


class Codecs:
    """The codecs of an application, by type for writing and by name for reading."""

    def __init__(self, codecs: Iterable[_Codec] = ()) -> None:
        self._all = tuple(codecs)
        self._by_kind = {codec.kind: codec for codec in self._all}
        self._by_name = {codec.name: codec for codec in self._all}

    def adding[T](self, name: str, kind: type[T], encode: Callable[[T], object], decode: Callable[[object], T]) -> Self:
        """Return these codecs and one more; ``encode`` gives a JSON value, of which ``decode`` makes the value again.

        Values of exactly this type are encoded by it, those of a subclass are not. The name stands in what is written:
        it never changes its meaning.

        Raises:
            InvalidSettingError: the name is malformed or taken, or the type has a codec.
        """
        if _NAME.fullmatch(name) is None:
            raise InvalidSettingError("name", "lower-case letters, digits, dots, hyphens, underscores, a letter first")
        if name in self._by_name or kind in self._by_kind:
            raise InvalidSettingError("name", f"a codec of its own for each name and type; {name} is not")
        added = _Codec(name, kind, cast("Callable[[object], object]", encode), decode)
        return type(self)((*self._all, added))

    @property
    def kinds(self) -> frozenset[type[object]]:
        """The types whose values a codec encodes."""
        return frozenset(self._by_kind)

    def to_plaintext(self, value: object, field_path: str) -> bytes:
        """Return what is encrypted for a value.

        Raises:
            InvalidValueError: the value is not one that JSON can carry exactly, and its type has no codec.
        """
        codec = self._by_kind.get(type(value))
        try:
            if codec is None:
                return to_canonical_json(value)
            return f"@{codec.name}:".encode() + to_canonical_json(codec.encode(value))
        except ValueError:
            raise InvalidValueError(field_path, JSON_VALUE) from None  # the cause's text can quote the value

    def from_plaintext(self, plaintext: bytes, field_path: str) -> object:
        """Return the value that was encrypted.

        Raises:
            UnknownCodecError: its codec is not among these.
            InvalidFieldError: its writer put something else into it than JSON, or than its codec reads.
        """
        name, value = split(plaintext, field_path)
        if name is None:
            return value
        codec = self._by_name.get(name)
        if codec is None:
            raise UnknownCodecError(field_path, name)
        try:
            return codec.decode(value)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            pass  # its text can quote the value; the error below has no cause and no context
        raise InvalidFieldError(field_path, "ct", f"what the codec {name} reads")


def split(plaintext: bytes, field_path: str) -> tuple[str | None, object]:
    """Return the name of the plaintext's codec, None if it has none, and the JSON value in it.

    Raises:
        InvalidFieldError: its writer put something else than JSON into it.
    """
    tagged = _TAGGED.fullmatch(plaintext)
    name, text = (None, plaintext) if tagged is None else (tagged[1].decode(), tagged[2])
    try:
        return name, from_canonical_json(text)
    except ValueError:
        pass  # its text quotes the value; the error below has no cause and no context
    raise InvalidFieldError(field_path, "ct", "canonical JSON in it")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text")
    return value


def _iso(value: datetime) -> str:
    text = value.isoformat()
    if datetime.fromisoformat(text).utcoffset() != value.utcoffset():  # Python loses an offset below a second
        raise ValueError("an offset of whole seconds")
    return text


def _finite(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("a finite number")
    return str(value)


def _bytes(value: object) -> bytes:
    raw = from_base64(value)
    if raw is None:
        raise ValueError("base64")
    return raw


STANDARD_CODECS: Final = (
    Codecs()
    .adding("datetime", datetime, _iso, lambda value: datetime.fromisoformat(_text(value)))
    .adding("date", date, date.isoformat, lambda value: date.fromisoformat(_text(value)))
    .adding("decimal", Decimal, _finite, lambda value: Decimal(_text(value)))
    .adding("uuid", UUID, str, lambda value: UUID(_text(value)))
    .adding("bytes", bytes, lambda value: base64.b64encode(value).decode(), _bytes)
)
