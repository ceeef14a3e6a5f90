"""What a diagnosis returns: a verdict, with one sentence on what to do next, and the facts that it rests on.

A document's verdict is the worst of its fields', a field's is its own or its DEK's, whichever is worse. No property of
these models has room for plaintext, a DEK or a wrap.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, computed_field

from keyturn.contracts.base import Payload, Text
from keyturn.contracts.pages import Scalar


class Verdict(StrEnum):
    """What is wrong, from the mildest to the worst."""

    # It opens.
    SOUND = "sound"
    NOTHING_ENCRYPTED = "nothing_encrypted"
    NO_KEY_CHECK = "no_key_check"
    NO_VERSION_LABEL = "no_version_label"
    FIELD_VERSION_UNKNOWN = "field_version_unknown"
    PREVIOUS_WRAP_DAMAGED = "previous_wrap_damaged"
    FIELD_PLAIN = "field_plain"
    FIELD_COPIED = "field_copied"
    # It does not, and the document is at fault.
    DOCUMENT_MISSING = "document_missing"
    FIELD_FOREIGN = "field_foreign"
    FIELD_MALFORMED = "field_malformed"
    FIELD_MOVED = "field_moved"
    FIELD_UNBOUND = "field_unbound"
    FIELD_TAMPERED = "field_tampered"
    # It does not, and the row or the key is at fault.
    VERSION_DISABLED = "version_disabled"
    PREVIOUS_WRAP_OPENS = "previous_wrap_opens"
    KEY_CHECK_DIFFERS = "key_check_differs"
    NOT_A_DEK = "not_a_dek"
    WRAP_REFUSED = "wrap_refused"
    ROW_MALFORMED = "row_malformed"
    ROW_FOREIGN = "row_foreign"
    ROW_MISSING = "row_missing"
    VERSION_MISSING = "version_missing"


_RESTORE_ROW = "restore the row from a snapshot of the dek store"

NEXT_STEPS: dict[Verdict, str] = {
    Verdict.SOUND: "nothing is to be done",
    Verdict.NOTHING_ENCRYPTED: "check the container and the id: this document holds no encrypted field",
    Verdict.NO_KEY_CHECK: "nothing now: the next rotation adds the key check that proves which DEK the row holds",
    Verdict.NO_VERSION_LABEL: "start a rotation: it labels the row with the version that wraps it",
    Verdict.FIELD_VERSION_UNKNOWN: (
        "nothing for readers, who follow the row; find out who changed the field's mekVersion after it was written"
    ),
    Verdict.PREVIOUS_WRAP_DAMAGED: (
        "do not roll this row back: its previous wrap does not hold its DEK, and the next rotation replaces it"
    ),
    Verdict.FIELD_PLAIN: "encrypt the container's documents: this field is stored as plain text",
    Verdict.FIELD_COPIED: (
        "find out which of the documents is the copy and delete it, then re-encrypt: format 2 binds the partition"
    ),
    Verdict.DOCUMENT_MISSING: "check container, id and partition, or restore the document from a snapshot",
    Verdict.FIELD_FOREIGN: (
        "have the system that encrypted the field decrypt it, then encrypt the container's documents"
    ),
    Verdict.FIELD_MALFORMED: "restore the document from a snapshot: the field's stored form was changed",
    Verdict.FIELD_MOVED: "put the ciphertext back where it belongs, or restore the document from a snapshot",
    Verdict.FIELD_UNBOUND: (
        "set bindsPartitionKey to false in KEYTURN_DOCUMENTS if the container's writers state no partition key"
    ),
    Verdict.FIELD_TAMPERED: (
        "restore the document from a snapshot: the ciphertext, its dekId or its place was changed, the DEK is sound"
    ),
    Verdict.VERSION_DISABLED: (
        "start a restore: it enables the version for as long as moving its rows onto the current one takes"
    ),
    Verdict.PREVIOUS_WRAP_OPENS: "roll back the rotation that wrote the row: its previous wrap still opens",
    Verdict.KEY_CHECK_DIFFERS: f"{_RESTORE_ROW}: its wrap and its key check belong to different DEKs",
    Verdict.NOT_A_DEK: f"{_RESTORE_ROW}: what it wraps is no key of 256 bits",
    Verdict.WRAP_REFUSED: f"{_RESTORE_ROW}: its wrap, its algorithm or its version was changed",
    Verdict.ROW_MALFORMED: f"{_RESTORE_ROW}: a property of it was changed",
    Verdict.ROW_FOREIGN: (
        "use the keyring of the key that the row names; if that is wrong, restore the row from a snapshot"
    ),
    Verdict.ROW_MISSING: f"{_RESTORE_ROW}, and never point the document at another dekId",
    Verdict.VERSION_MISSING: (
        "restore the key from its backup; if the row's version was changed, restore the row from a snapshot"
    ),
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts, which are not empty."""
    return max(verdicts, key=list(Verdict).index)


FIELDS_MAX = 100  # a longer list says nothing more, and the answer stays small


class _Finding(Payload):
    verdict: Verdict
    finding: Text  # what was seen

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation says
    @property
    def next_step(self) -> str:
        """What to do next, in one sentence."""
        return NEXT_STEPS[self.verdict]


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

    keyring: str
    dek_id: str
    row: RowFacts | None = None
    version: VersionFacts | None = None
    opened_under: str | None = None  # the version that unwrapped the row
    unwraps: bool | None = None
    key_check: Literal["holds", "differs", "absent"] | None = None
    previous_wrap: Literal["holds", "damaged", "not_readable"] | None = None


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

    keyring: str
    container: str
    document_id: str
    fields: Annotated[list[FieldDiagnosis], Field(max_length=FIELDS_MAX)] = Field(default_factory=list)
    fields_omitted: int = 0
    deks: list[DekDiagnosis] = Field(default_factory=list)
