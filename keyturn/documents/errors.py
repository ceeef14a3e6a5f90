"""Why a document cannot be worked on: short codes for the record and the API, and which error means which."""

from collections.abc import Mapping
from enum import StrEnum

from field_encrypt import errors, mek_errors


class DocumentReason(StrEnum):
    """What is wrong with a document, one of its fields, or a row that it names; races are counted as for rows."""

    MALFORMED_FIELD = "malformed_field"  # it claims to be an encrypted field and is none
    TAMPERED_FIELD = "tampered_field"  # it does not authenticate in its place
    NOT_ENCRYPTED = "not_encrypted"  # plaintext where the keyring's settings name an encrypted field
    LOOKS_ENCRYPTED = "looks_encrypted"  # another system seems to have encrypted a field: never encrypted a second time
    UNKNOWN_CODEC = "unknown_codec"  # a field was written with a codec that is not configured here
    INVALID_VALUE = "invalid_value"  # no value that can be encrypted, or something encrypted inside it
    OVERLAPPING_FIELDS = "overlapping_fields"  # the settings name a field and what is inside it, or lack a *
    COPIED = "copied"  # in format 1, as is a document of its id in another partition: one of them is a copy
    UNBOUND_PLACE = "unbound_place"  # its partition key's value, or the context, is nothing that JSON can carry
    TOO_MANY_FIELDS = "too_many_fields"  # more than the key policy allows a DEK uses
    TOO_LARGE = "too_large"  # encrypted, it would exceed what Cosmos DB takes
    MISSING_DEK = "missing_dek"  # the dek store has no row of the dekId
    MALFORMED_ROW = "malformed_row"
    KEY_CHECK_MISMATCH = "key_check_mismatch"  # the row unwraps to another DEK than its key check was made with
    INVALID_DEK = "invalid_dek"  # the row unwraps, but not to a 256-bit key
    UNWRAP_REFUSED = "unwrap_refused"
    UNKNOWN_VERSION = "unknown_version"  # the MEK has no version that the row names
    VERSION_DISABLED = "version_disabled"
    FOREIGN_MEK = "foreign_mek"  # the row is wrapped by another MEK than the one that reads


# Every other error is about a service or a right, and not about one document.
_REASONS: Mapping[type[errors.FieldEncryptError], DocumentReason] = {
    errors.InvalidFieldError: DocumentReason.MALFORMED_FIELD,
    errors.TamperedFieldError: DocumentReason.TAMPERED_FIELD,
    errors.LooksEncryptedError: DocumentReason.LOOKS_ENCRYPTED,
    errors.UnknownCodecError: DocumentReason.UNKNOWN_CODEC,
    errors.InvalidValueError: DocumentReason.INVALID_VALUE,
    errors.InvalidFieldPathError: DocumentReason.OVERLAPPING_FIELDS,
    errors.InvalidPlaceError: DocumentReason.UNBOUND_PLACE,
    errors.InvalidSettingError: DocumentReason.TOO_MANY_FIELDS,
    errors.DekNotFoundError: DocumentReason.MISSING_DEK,
    errors.InvalidRowError: DocumentReason.MALFORMED_ROW,
    errors.KeyCheckMismatchError: DocumentReason.KEY_CHECK_MISMATCH,
    errors.InvalidDekError: DocumentReason.INVALID_DEK,
    mek_errors.UnwrapRefusedError: DocumentReason.UNWRAP_REFUSED,
    mek_errors.MekVersionNotFoundError: DocumentReason.UNKNOWN_VERSION,
    mek_errors.MekVersionDisabledError: DocumentReason.VERSION_DISABLED,
    mek_errors.ForeignMekError: DocumentReason.FOREIGN_MEK,
}


class RefusedDocumentError(Exception):
    """A document cannot be worked on as it is."""

    def __init__(self, reason: DocumentReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def reason_of(error: errors.FieldEncryptError | RefusedDocumentError) -> DocumentReason:
    """Return what the error says about the document; raises the error itself where it is not about a document."""
    if isinstance(error, RefusedDocumentError):
        return error.reason
    if (reason := _REASONS.get(type(error))) is None:
        raise error
    return reason
