"""Every error of the library, in three families by who has to act.

* :class:`CallerError`: the input is bad or was tampered with; the same call fails again.
* :class:`OperatorError`: a key, a version or a row is disabled, forbidden or missing; a person has to act.
* :class:`RetryError`: a service is throttling or away; the same call may succeed later.

Facts are attributes. No text holds a value of a document, a key, a wrapped key or a token.
"""

import math
from typing import override


class FieldEncryptError(Exception):
    """Root of the library's errors."""


class CallerError(FieldEncryptError):
    """The input is bad or was tampered with."""


class OperatorError(FieldEncryptError):
    """Something that a person administers is disabled, forbidden or missing."""


class RetryError(FieldEncryptError):
    """A service did not do its work this time."""


class UnwrapError(FieldEncryptError):
    """An unwrap failed; a provider knows no rows, so ``dek_id`` is set by the reader of the row."""

    dek_id: str | None = None

    @override
    def __str__(self) -> str:
        text = super().__str__()
        return text if self.dek_id is None else f"row {self.dek_id} of the dek store: {text}"


class InvalidSettingError(CallerError, ValueError):
    """A setting has a value that is not allowed; pydantic reports a ``ValueError`` by the field's name."""

    def __init__(self, setting: str, expected: str) -> None:
        super().__init__(f"{setting}: expected {expected}")
        self.setting = setting
        self.expected = expected


def require_number(
    setting: str, value: object, *, least: float | None = None, above: float | None = None, whole: bool = False
) -> None:
    """Check a setting that is a number, not less than ``least`` and greater than ``above``; ``whole``: an integer.

    Raises:
        InvalidSettingError: it is another number, or none.
    """
    kinds = int if whole else (int, float)
    number = value if isinstance(value, kinds) and not isinstance(value, bool) else math.nan
    in_bounds = (least is None or number >= least) and (above is None or number > above)
    if not in_bounds or number == math.inf:  # in no bounds is NaN
        bound = f" of {least} or more" if above is None else f" above {above}"
        raise InvalidSettingError(setting, f"{'an integer' if whole else 'a finite number'}{bound}")


class InvalidFieldPathError(CallerError):
    """A field path is malformed, or names nothing in the document."""

    def __init__(self, field_path: str, expected: str) -> None:
        super().__init__(f"field path {field_path!r}: expected {expected}")
        self.field_path = field_path
        self.expected = expected


class InvalidPlaceError(CallerError):
    """A part of a field's place cannot be what a ciphertext is bound to, such as the partition key value."""

    def __init__(self, part: str, expected: str) -> None:
        super().__init__(f"{part}: expected {expected}")
        self.part = part
        self.expected = expected


class InvalidValueError(CallerError):
    """A value cannot be encrypted as it is."""

    def __init__(self, field_path: str, expected: str) -> None:
        super().__init__(f"value of field {field_path}: expected {expected}")
        self.field_path = field_path
        self.expected = expected


class LooksEncryptedError(CallerError):
    """A value seems to have been encrypted by another system; encrypted again, it would be encrypted twice."""

    def __init__(self, field_path: str, looks_like: str) -> None:
        super().__init__(
            f"value of field {field_path}: expected plaintext, and it looks like {looks_like}; "
            "name the field in may_look_encrypted if that is its plaintext"
        )
        self.field_path = field_path
        self.looks_like = looks_like


class UnknownCodecError(CallerError):
    """A field was written with a codec that this reader does not have."""

    def __init__(self, field_path: str, codec: str) -> None:
        super().__init__(f"encrypted field {field_path}: expected codec {codec!r} to be given to FieldEncryption")
        self.field_path = field_path
        self.codec = codec


class InvalidFieldError(CallerError):
    """A stored field is not an encrypted field; ``property_name`` is the property at fault."""

    def __init__(self, field_path: str, property_name: str, expected: str) -> None:
        super().__init__(f"encrypted field {field_path}: property {property_name!r}: expected {expected}")
        self.field_path = field_path
        self.property_name = property_name
        self.expected = expected


class TamperedFieldError(CallerError):
    """A field does not authenticate: its bytes or its place changed, or its DEK is another one.

    The place is container, document id and field path; from format 2 on also the partition key value and the context
    that the caller gave at writing and must give at reading.
    """

    def __init__(self, container: str, document_id: str, field_path: str, dek_id: str) -> None:
        super().__init__(
            f"field {field_path} of document {document_id} in container {container} does not authenticate under "
            f"DEK {dek_id}: its ciphertext or its place was changed"
        )
        self.container = container
        self.document_id = document_id
        self.field_path = field_path
        self.dek_id = dek_id


class InvalidDekError(UnwrapError, CallerError):
    """Bytes that should be a DEK are not 256 bits long."""

    def __init__(self, length: int) -> None:
        super().__init__(f"DEK: expected 32 bytes, got {length}")
        self.length = length


class InvalidRowError(CallerError):
    """A row of the dek store is malformed; ``property_name`` is the property at fault."""

    def __init__(self, dek_id: str, property_name: str, expected: str) -> None:
        super().__init__(f"row {dek_id} of the dek store: property {property_name!r}: expected {expected}")
        self.dek_id = dek_id
        self.property_name = property_name
        self.expected = expected


class KeyCheckMismatchError(CallerError):
    """A row unwraps to a DEK that its key check does not belong to: the row was changed."""

    def __init__(self, dek_id: str) -> None:
        super().__init__(f"row {dek_id} of the dek store does not hold the DEK that its key check was made with")
        self.dek_id = dek_id


class DekExistsError(CallerError):
    """The dek store has a row of this dekId already, with another DEK."""

    def __init__(self, dek_id: str) -> None:
        super().__init__(f"the dek store has a row {dek_id} already; rows are never overwritten")
        self.dek_id = dek_id


class DekNotFoundError(OperatorError):
    """The dek store has no row for a DEK that a document names."""

    def __init__(self, dek_id: str) -> None:
        super().__init__(
            f"the dek store has no row {dek_id}: restore it from the most recent snapshot of the dek store"
        )
        self.dek_id = dek_id


class DekStoreForbiddenError(OperatorError):
    """The identity may not do this in the dek store; ``dek_id`` is None where no single row was meant."""

    def __init__(self, dek_id: str | None, operation: str) -> None:
        super().__init__(f"dek store: {_described(dek_id, operation)} is forbidden to this identity")
        self.dek_id = dek_id
        self.operation = operation


class DekStoreMissingError(OperatorError):
    """The dek store itself does not exist, or its database: what it may hold is not known."""

    def __init__(self, container: str) -> None:
        super().__init__(f"dek store: expected a container {container} in the database: correct its name, or create it")
        self.container = container


class DekStoreUnavailableError(RetryError):
    """The dek store is throttling or away; ``dek_id`` is None where no single row was meant."""

    def __init__(self, dek_id: str | None, operation: str, status: int | None) -> None:
        super().__init__(f"dek store: {_described(dek_id, operation)} failed with {status or 'a connection error'}")
        self.dek_id = dek_id
        self.operation = operation
        self.status = status


class LostFeedPositionError(RetryError):
    """The place in the dek store's change feed means nothing any more: the container was created or restored anew."""


def _described(dek_id: str | None, operation: str) -> str:
    return operation if dek_id is None else f"{operation} of row {dek_id}"
