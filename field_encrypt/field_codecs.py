"""The stored forms of encrypted fields that a reader knows: this library's own, and other people's by a codec each.

A codec only reads: what is saved is written in this library's form, so each save and each re-encryption leaves one
field of another form less. Its DEKs are rows of the dek store like all others (:mod:`field_encrypt.rows`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from cryptography.exceptions import InvalidSignature, InvalidTag

from field_encrypt import paths
from field_encrypt.codecs import Codecs
from field_encrypt.dek import Dek
from field_encrypt.documents import Document, Item
from field_encrypt.encoding import plain
from field_encrypt.errors import InvalidFieldError, InvalidValueError, LooksEncryptedError, TamperedFieldError
from field_encrypt.fields import EncryptedField, is_encrypted, open_field
from field_encrypt.foreign import looks_encrypted
from field_encrypt.places import FieldPlace
from field_encrypt.rows import CANNOT_READ

WHOLE: Final = "(the whole field)"


class FieldCodec(Protocol):
    """Reads the encrypted fields of another system.

    ``dek_id`` and ``open`` raise ValueError, TypeError, LookupError or AttributeError for a field that does not have
    the form that the codec reads, and ``open`` lets ``cryptography``'s InvalidTag out for one that was changed.
    """

    def claims(self, stored: object) -> bool:
        """Tell whether a value is an encrypted field of this form."""
        ...

    def dek_id(self, stored: object, document: Mapping[str, object]) -> str:
        """Return the id of the field's DEK, wherever in the field or the document it stands."""
        ...

    def open(self, stored: object, document: Mapping[str, object], *, key: bytes, place: FieldPlace) -> object:
        """Return the field's value; ``key`` is its DEK, which goes nowhere else than into the cipher."""
        ...


@dataclass(frozen=True, slots=True)
class ForeignField:
    """A field of another form, its DEK found."""

    codec: FieldCodec
    document: Document = field(repr=False)
    stored: object = field(repr=False)
    dek_id: str
    mek_version: str = ""  # its row names one
    is_deterministic: bool = False


class FieldForms:
    """What a value may be stored as, and what is encrypted for it."""

    def __init__(self, codecs: Codecs, field_codecs: Sequence[FieldCodec]) -> None:
        self.codecs = codecs
        self.field_codecs = tuple(field_codecs)

    def claims(self, value: object) -> bool:
        """Tell whether a value claims to be an encrypted field of any known form."""
        return is_encrypted(value) or self._codec_of(value) is not None

    def snapshot(self, document: object) -> Item:
        """Return a document as JSON has it, for good: what is looked at is what is stored, whatever the caller does.

        Raises:
            InvalidValueError: it is no object, or is nested too deeply or in itself.
        """
        try:
            if isinstance(document, Mapping):
                return cast("Item", plain(dict(document.items()), self.codecs.kinds))
        except ValueError:
            pass
        raise InvalidValueError("document", "an object of names and values that is not nested too deeply")

    def to_plaintexts(self, values: Mapping[str, object], may_look_encrypted: Collection[str]) -> dict[str, bytes]:
        """Return what is encrypted for the value of each path.

        Raises:
            InvalidValueError: one is encrypted already, holds something that is, or is nothing that can be encrypted.
            LooksEncryptedError: another system seems to have encrypted one, and the caller does not expect that.
        """
        exempt = paths.listed(may_look_encrypted)
        return {path: self._to_plaintext(value, path, exempt) for path, value in values.items()}

    def from_plaintexts(self, plain: Mapping[str, bytes]) -> dict[str, object]:
        """Return the values that were encrypted, by their paths.

        Raises:
            UnknownCodecError: the codec of one is not among these.
            InvalidFieldError: its writer put something else into it than JSON, or than its codec reads.
        """
        return {path: self.codecs.from_plaintext(text, path) for path, text in plain.items()}

    def _to_plaintext(self, value: object, path: str, exempt: Collection[str]) -> bytes:
        try:
            value = plain(value, self.codecs.kinds)
        except ValueError:
            raise InvalidValueError(path, "a value that is not nested this deeply") from None
        try:
            if self.claims(value) or paths.find(value, self.claims):
                raise InvalidValueError(path, "a value that is not encrypted already, and holds nothing that is")
            plaintext = self.codecs.to_plaintext(value, path)
            looks_like = None if path in exempt else looks_encrypted(value)
        except RecursionError:
            raise InvalidValueError(path, "a value that is not nested this deeply") from None
        if looks_like is not None:
            raise LooksEncryptedError(path, looks_like)
        return plaintext

    def parse(self, document: Document, path: str) -> EncryptedField | ForeignField:
        """Read the stored form of a field.

        Raises:
            InvalidFieldError: it has no known form, or a malformed one.
        """
        stored = paths.get(document, path)
        if (codec := self._codec_of(stored)) is None:
            return EncryptedField.parse(stored, path)
        try:
            dek_id: object = codec.dek_id(stored, document)
            if isinstance(dek_id, str) and dek_id:
                return ForeignField(codec, document, stored, dek_id)
        except CANNOT_READ:
            pass  # its text can quote the document; the error below has no cause and no context
        raise _not_read(codec, path)

    def open(self, parsed: EncryptedField | ForeignField, *, dek: Dek, place: FieldPlace) -> bytes:
        """Return the plaintext of a field that stands at this place, as this library would have written it.

        Raises:
            TamperedFieldError: the field does not authenticate.
            InvalidFieldError: it has not the form that its codec reads.
        """
        if isinstance(parsed, EncryptedField):
            return open_field(parsed, dek=dek, place=place)
        try:
            value = parsed.codec.open(parsed.stored, parsed.document, key=dek.reveal(), place=place)
        except (InvalidTag, InvalidSignature):
            raise TamperedFieldError(place.container, place.document_id, place.field_path, parsed.dek_id) from None
        except CANNOT_READ:
            pass
        else:
            return self.codecs.to_plaintext(value, place.field_path)
        raise _not_read(parsed.codec, place.field_path)

    def _codec_of(self, value: object) -> FieldCodec | None:
        return next((codec for codec in self.field_codecs if codec.claims(value)), None)


def _not_read(codec: FieldCodec, path: str) -> InvalidFieldError:
    return InvalidFieldError(path, WHOLE, f"what {type(codec).__name__} reads")
