"""What an audit event can say: its types, and what each carries. Names, versions, digests and people; never a key.

Every text and list is bounded, so that an event stays far below the 64 KiB that receivers of CloudEvents must accept.
"""

from datetime import datetime
from typing import Annotated, Literal, override

from pydantic import Field

from keyturn.contracts.base import Name, Payload, Remark, Text
from keyturn.contracts.pages import QuarantinedRow, UnexplainedRow
from keyturn.contracts.states import State

UNEXPLAINED_MAX = 10  # rows that one event names; their ids may have 1,023 characters each
VERSIONS_MAX = 500  # of a MEK; a vault backs up no key with more

type Version = Annotated[str, Field(max_length=64)]
type Versions = Annotated[list[Version], Field(max_length=VERSIONS_MAX)]
type Digest = Annotated[str, Field(max_length=64)]
type Attempt = Literal["start", "decide", "retry", "abort", "reinstate", "key_backup"]

TYPE_PREFIX = "dev.keyturn.rotation."
TYPES: dict[type["EventData"], str] = {}  # of CloudEvents, by what each carries


class EventData(Payload):
    """Base of what the types of events carry."""

    @override
    def __init_subclass__(cls, *, name: str) -> None:
        super().__init_subclass__()
        TYPES[cls] = f"{TYPE_PREFIX}{name}"


class StateChanged(EventData, name="state_changed"):
    """The rotation went from one state to another; the first event of a chain comes from none."""

    source: Annotated[State | None, Field(alias="from")]
    target: Annotated[State, Field(alias="to")]
    step: int
    by: Name
    detail: Text = ""


class CheckWaived(EventData, name="check_waived"):
    """A pre-flight check failed, and a waiver allowed it."""

    check: Name
    by: Name | None
    why: Text | None
    found: Text


class VersionCreated(EventData, name="version_created"):
    """The new MEK version exists; these were enabled before it."""

    version: Version
    replaces: Versions


class RowsUnexplained(EventData, name="rows_unexplained"):
    """Rows are not as runs have left them: before the first row is rewrapped, or since the rotation began."""

    since: Name | None  # the rotation since which was looked; null where there is none to compare with
    count: int
    named: Annotated[list[UnexplainedRow], Field(max_length=UNEXPLAINED_MAX)]  # the first of them


class RowQuarantined(EventData, name="row_quarantined"):
    """A row cannot be rewrapped."""

    row: QuarantinedRow


class EvidenceFrozen(EventData, name="evidence_frozen"):
    """What an approver is asked to decide on, by its digest."""

    digest: Digest
    expires_at: datetime | None


class DecisionTaken(EventData, name="decision_taken"):
    """A person decided on exactly one evidence digest."""

    decision: Literal["approved", "rejected"]
    by: Name
    digest: Digest
    comment: Remark = ""
    acknowledged: list[Text] = Field(default_factory=list)  # warnings that the approver said to have read


class CommandGiven(EventData, name="command_given"):
    """An operator told the rotation to try again, to end, or to take its retirement back."""

    command: Literal["retry", "abort", "reinstate"]
    by: Name
    step: int


class VersionsRetired(EventData, name="versions_retired"):
    """Old versions were disabled, on this evidence, with this approval."""

    versions: Versions
    digest: Digest | None
    approved_by: Name | None


class VersionsReinstated(EventData, name="versions_reinstated"):
    """Versions that the rotation had disabled were enabled again."""

    versions: Versions


class VersionsTemporarilyEnabled(EventData, name="versions_lent"):
    """Disabled versions were enabled for the time of a restore, on this evidence, with this approval."""

    versions: Versions
    digest: Digest | None
    approved_by: Name | None


class VersionsDisabledAgain(EventData, name="versions_returned"):
    """What was enabled for a restore was disabled again, because no row named it."""

    versions: Versions


class KeyBackupHandedOut(EventData, name="key_backup_handed_out"):
    """The backup that was taken before the rotation left the app; told once a day and person."""

    by: Name
    sha256: Digest


class RowRepairOrdered(EventData, name="row_repair_ordered"):
    """An operator had a row put back on its previous wrap; told before the row is written."""

    dek_id: Annotated[str, Field(max_length=1023)]
    by: Name
    reason: Text
    replaces: Version | None  # the version that the row named
    version: Version | None


class KeyBackupTried(EventData, name="key_backup_tried"):
    """A drill restored a backup of the rotation into a vault that is thrown away, and tried to open rows with it."""

    by: Name
    sha256: Digest
    passed: bool
    detail: Text


class AttemptRefused(EventData, name="attempt_refused"):
    """A request was refused; ``by`` is null where the caller is not known."""

    attempt: Attempt
    by: Text | None
    error: Name  # name of a class of keyturn.errors
    detail: Text


class AuditEvent(Payload):
    """One thing that happened; ``key`` is the same in each report of it, within its rotation."""

    key: str
    at: datetime
    data: EventData

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return TYPES[type(self.data)]
