"""What a diagnosis is asked by and what it returns: a verdict, with one sentence on what to do next, and its facts.

A document's verdict is the worst of its fields', a field's is its own or its DEK's, whichever is worse. No property of
these models has room for plaintext, a DEK or a wrap.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, override

from pydantic import Field, computed_field

from field_encrypt.row_states import QuarantineReason
from keyturn.contracts.base import Payload, Text
from keyturn.contracts.pages import Scalar
from keyturn.documents.errors import DocumentReason
from keyturn.errors import InvalidRequestError

ID_BYTES_MAX: Final = 1023
_NEVER_IN_IDS = frozenset("/\\?#")  # Cosmos DB, service limits


def is_possible_id(text: str) -> bool:
    """Tell whether anything in Cosmos DB can have this id; what cannot must not get into the path of a request."""
    fits = 0 < len(text.encode(errors="surrogatepass")) <= ID_BYTES_MAX
    return fits and text == text.rstrip() and text.isprintable() and not _NEVER_IN_IDS.intersection(text)


def require_id(field: str, text: str | None) -> str:
    """Return the id that a request gives; raises InvalidRequestError naming the field."""
    if text is None or not is_possible_id(text):
        raise InvalidRequestError.expected(field, f"an id: 1 to {ID_BYTES_MAX} bytes without / \\ ? #")
    return text


_RESTORE_ROW = "restore the row from a snapshot of the dek store"
# In a next step: the DEK, the rotation that moved its row, and the keyring.
_DEK, _ROTATION, _KEYRING = "DEK_ID", "ROTATION_ID", "KEYRING"


class Verdict(StrEnum):
    """What is wrong, from the mildest to the worst; each with one sentence on what to do next."""

    next_step: str

    def __new__(cls, value: str, next_step: str) -> Self:
        """Return the verdict of this value."""
        verdict = str.__new__(cls, value)
        verdict._value_, verdict.next_step = value, next_step
        return verdict

    # It opens.
    SOUND = "sound", "nothing is to be done"
    NOTHING_ENCRYPTED = "nothing_encrypted", "check the container and the id: this document holds no encrypted field"
    NO_KEY_CHECK = (
        "no_key_check",
        "nothing now: the next rotation adds the key check that proves which DEK the row holds",
    )
    NO_VERSION_LABEL = (
        "no_version_label",
        f"start a rotation, which labels the row with the version that wraps it: keyturn rotate --keyring {_KEYRING}",
    )
    FIELD_VERSION_UNKNOWN = (
        "field_version_unknown",
        "nothing for readers, who follow the row; find out who changed the field's mekVersion after it was written",
    )
    PREVIOUS_WRAP_DAMAGED = (
        "previous_wrap_damaged",
        "do not roll this row back: its previous wrap does not hold its DEK, and the next rotation replaces it",
    )
    FIELD_PLAIN = (
        "field_plain",
        (
            "this field is stored as plain text: encrypt the container's documents: "
            f"keyturn migrate encrypt --keyring {_KEYRING}"
        ),
    )
    FIELD_COPIED = (
        "field_copied",
        (
            "find out which document is the copy and delete it, then bind the partition: "
            f"keyturn migrate re-encrypt --keyring {_KEYRING}"
        ),
    )
    # It does not, and the document is at fault.
    DOCUMENT_MISSING = "document_missing", "check container, id and partition, or restore the document from a snapshot"
    FIELD_FOREIGN = (
        "field_foreign",
        (
            "have the system that encrypted the field decrypt it, then encrypt it again: "
            f"keyturn migrate encrypt --keyring {_KEYRING}"
        ),
    )
    FIELD_MALFORMED = "field_malformed", "restore the document from a snapshot: the field's stored form was changed"
    FIELD_MOVED = "field_moved", "put the ciphertext back where it belongs, or restore the document from a snapshot"
    FIELD_UNBOUND = (
        "field_unbound",
        "set bindsPartitionKey to false in KEYTURN_DOCUMENTS if the container's writers state no partition key",
    )
    FIELD_TAMPERED = (
        "field_tampered",
        "restore the document from a snapshot: the ciphertext, its dekId or its place was changed, the DEK is sound",
    )
    # It does not, and the row or the key is at fault.
    VERSION_DISABLED = (
        "version_disabled",
        (
            "start a restore, which enables the version while its rows move onto the current one: "
            f"keyturn restore --keyring {_KEYRING}"
        ),
    )
    PREVIOUS_WRAP_OPENS = (
        "previous_wrap_opens",
        (
            "put the row back on its previous wrap: "
            f"keyturn repair dek {_DEK} --keyring {_KEYRING} --reason 'its wrap does not open'"
        ),
    )
    KEY_CHECK_DIFFERS = "key_check_differs", f"{_RESTORE_ROW}: its wrap and its key check belong to different DEKs"
    NOT_A_DEK = "not_a_dek", f"{_RESTORE_ROW}: what it wraps is no key of 256 bits"
    WRAP_REFUSED = "wrap_refused", f"{_RESTORE_ROW}: its wrap, its algorithm or its version was changed"
    ROW_MALFORMED = "row_malformed", f"{_RESTORE_ROW}: a property of it was changed"
    ROW_FOREIGN = (
        "row_foreign",
        "use the keyring of the key that the row names; if that is wrong, restore the row from a snapshot",
    )
    ROW_MISSING = "row_missing", f"{_RESTORE_ROW}, and never point the document at another dekId"
    VERSION_LOST = (
        "version_lost",
        f"take the rotation back, every row of which keeps the wrap from before it: keyturn rollback {_ROTATION}",
    )
    VERSION_MISSING = (
        "version_missing",
        "restore the row from a snapshot if its version was changed, else the key: keyturn key-backup list",
    )


# What was looked at opens, or holds nothing that has to.
OPENS: Final[frozenset[str]] = frozenset(list(Verdict)[: list(Verdict).index(Verdict.FIELD_COPIED) + 1])
# What is told of a DEK or a document that another keyring has.
ELSEWHERE: Final[frozenset[str]] = frozenset({Verdict.DOCUMENT_MISSING, Verdict.ROW_FOREIGN, Verdict.ROW_MISSING})


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts, which are not empty."""
    return max(verdicts, key=list(Verdict).index)


# What a run has found when it quarantined a row or document, before it was diagnosed: what to do next.
NEXT_STEPS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *(QuarantineReason.MALFORMED_WRAP, QuarantineReason.MALFORMED_LABEL, QuarantineReason.MALFORMED_MEK_NAME),
            *(QuarantineReason.MALFORMED_KEY_CHECK, QuarantineReason.UNKNOWN_ALGORITHM, DocumentReason.MALFORMED_ROW),
        ),
        Verdict.ROW_MALFORMED.next_step,
    ),
    QuarantineReason.UNKNOWN_VERSION: Verdict.VERSION_MISSING.next_step,
    QuarantineReason.VERSION_DISABLED: Verdict.VERSION_DISABLED.next_step,
    QuarantineReason.UNWRAP_REFUSED: Verdict.WRAP_REFUSED.next_step,
    QuarantineReason.INVALID_DEK: Verdict.NOT_A_DEK.next_step,
    QuarantineReason.KEY_CHECK_MISMATCH: Verdict.KEY_CHECK_DIFFERS.next_step,
    QuarantineReason.TOO_MANY_RACES: "retry when fewer writers change it at the same time",
    DocumentReason.MALFORMED_FIELD: Verdict.FIELD_MALFORMED.next_step,
    DocumentReason.TAMPERED_FIELD: Verdict.FIELD_TAMPERED.next_step,
    DocumentReason.NOT_ENCRYPTED: Verdict.FIELD_PLAIN.next_step,
    DocumentReason.LOOKS_ENCRYPTED: Verdict.FIELD_FOREIGN.next_step,
    DocumentReason.UNKNOWN_CODEC: "declare the codec that the field was written with in KEYTURN_DOCUMENTS, then retry",
    DocumentReason.INVALID_VALUE: "have its writer store a value that can be encrypted, then retry",
    DocumentReason.OVERLAPPING_FIELDS: "name a field or what is in it, lists by *, in KEYTURN_DOCUMENTS, then retry",
    DocumentReason.COPIED: Verdict.FIELD_COPIED.next_step,
    DocumentReason.UNBOUND_PLACE: "give it a partition key and a context that JSON can carry, then retry",
    DocumentReason.TOO_MANY_FIELDS: "choose a key policy that allows a DEK more uses, then start again",
    DocumentReason.TOO_LARGE: "make the document smaller: encrypted, it would exceed what Cosmos DB takes",
    DocumentReason.MISSING_DEK: Verdict.ROW_MISSING.next_step,
    DocumentReason.FOREIGN_MEK: Verdict.ROW_FOREIGN.next_step,
}

FIELDS_MAX = 100  # a longer list says nothing more, and the answer stays small


def filled(next_step: str, keyring: str, dek: str = _DEK, rotation: str = _ROTATION) -> str:
    """Return a next step with the names in it that are known, as a shell takes them."""
    named = {_KEYRING: keyring, _DEK: dek, _ROTATION: rotation}
    return re.sub(rf"\b({'|'.join(named)})\b", lambda found: shlex.quote(named[found[0]]), next_step)


class _Finding(Payload):
    keyring: str
    verdict: Verdict
    finding: Text  # what was seen

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation says
    @property
    def next_step(self) -> str:
        """What to do next, in one sentence; a command in it stands at its end."""
        return filled(self.verdict.next_step, self.keyring, *self.about)

    @property
    def about(self) -> tuple[str, str]:
        """The DEK that the next step is about, and the rotation that moved its row."""
        return str(getattr(self, "dek_id", _DEK)), _ROTATION


class RowFacts(Payload):
    """What a row says of itself, its wraps and its key check left out."""

    mek_name: Text | None
    version_label: Text | None  # as it is stored: a version id, or a whole key id
    algorithm: Text | None
    created_at: datetime | None
    changed_at: datetime  # the service's time of the last change, in whole seconds
    run_id: Annotated[Text | None, Field(alias="rotationId")]


class VersionFacts(Payload):
    """The version that a row's label names, as the vault describes it now."""

    version: str
    state: Literal["enabled", "disabled", "missing"]
    created_on: datetime | None = None
    expires_on: datetime | None = None
    retired_by: str | None = None  # the rotation that disabled it
    retain_until: str | None = None


class DekDiagnosis(_Finding):
    """The result for one DEK; null is what could not be tried."""

    dek_id: str
    row: RowFacts | None = None
    version: VersionFacts | None = None
    opened_under: str | None = None  # the version that unwrapped the row
    unwraps: bool | None = None
    key_check: Literal["holds", "differs", "absent"] | None = None
    previous_wrap: Literal["holds", "damaged", "not_readable"] | None = None

    @property
    @override
    def about(self) -> tuple[str, str]:
        """This DEK, and the run that its row names."""
        return self.dek_id, (self.row and self.row.run_id) or _ROTATION


class Place(Payload):
    """Where a field stands."""

    container: str
    document_id: str
    field_path: str
    partition: Scalar = None  # the partition key's value; null also where there is none


class FieldDiagnosis(_Finding):
    """The result for one field; null is what could not be tried."""

    field_path: str
    dek_id: Text | None = None
    mek_version: Text | None = None  # what the writer saw; where the row has a label, the row counts
    authenticates: bool | None = None
    belongs_to: Place | None = None


class DocumentDiagnosis(_Finding):
    """The result for a document: its fields, and the DEKs that they name."""

    container: str
    document_id: str
    fields: Annotated[list[FieldDiagnosis], Field(max_length=FIELDS_MAX)] = Field(default_factory=list)
    fields_omitted: int = 0
    deks: list[DekDiagnosis] = Field(default_factory=list)

    @property
    @override
    def about(self) -> tuple[str, str]:
        """What the first DEK names that has the document's own verdict."""
        return next((found.about for found in self.deks if found.verdict is self.verdict), (_DEK, _ROTATION))
