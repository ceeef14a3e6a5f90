"""What a diagnosis tells. No property of these models has room for plaintext, a DEK or a wrap."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, computed_field

from keyturn.contracts import Payload
from keyturn.diagnosis.verdicts import NEXT_STEPS, Verdict
from keyturn.rotation.record_parts import Text

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
    rotation_id: Text | None


class VersionFacts(Payload):
    """The version that a row's label names, as the vault describes it now."""

    version: str
    state: Literal["enabled", "disabled", "missing"]
    created_on: datetime | None = None
    expires_on: datetime | None = None
    retired_by: str | None = None  # the rotation that disabled it
    retain_until: str | None = None


class DekDiagnosis(_Finding):
    """What became of opening one DEK; null is what could not be tried."""

    keyring: str
    dek_id: str
    row: RowFacts | None = None
    version: VersionFacts | None = None
    opened_under: str | None = None  # for a row without a label: the version that was found
    unwraps: bool | None = None
    key_check: Literal["holds", "differs", "absent"] | None = None
    previous_wrap: Literal["holds", "damaged", "not_readable"] | None = None


class Place(Payload):
    """Where a field stands."""

    container: str
    document_id: str
    field_path: str


class FieldDiagnosis(_Finding):
    """What became of opening one field; null is what could not be tried."""

    field_path: str
    dek_id: Text | None = None
    mek_version: Text | None = None  # what the writer saw; where the row has a label, the row counts
    authenticates: bool | None = None
    belongs_to: Place | None = None


class DocumentDiagnosis(_Finding):
    """What became of opening a document: its fields, and the DEKs that they name."""

    keyring: str
    container: str
    document_id: str
    fields: Annotated[list[FieldDiagnosis], Field(max_length=FIELDS_MAX)] = Field(default_factory=list)
    fields_omitted: int = 0
    deks: list[DekDiagnosis] = Field(default_factory=list)
