"""What an audit event can say: its types, and what each carries. Names, versions, digests and people; never a key.

Every text and list is bounded, so that an event stays far below the 64 KiB that receivers of CloudEvents must accept.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from keyturn.contracts.base import Name, Payload, Remark, Text
from keyturn.contracts.pages import QuarantinedRow, UnexplainedRow
from keyturn.contracts.states import State

UNEXPLAINED_MAX = 10  # rows that one event names; their ids may have 1,023 characters each
VERSIONS_MAX = 500  # of a MEK; a vault backs up no key with more

type Version = Annotated[str, Field(max_length=64)]
type Versions = Annotated[list[Version], Field(max_length=VERSIONS_MAX)]
type Digest = Annotated[str, Field(max_length=64)]
type Attempt = Literal["start", "decide", "retry", "abort", "reinstate"]


class EventData(Payload):
    """Base of what the types of events carry."""


class StateChanged(EventData):
    """The rotation went from one state to another; the first event of a chain comes from none."""

    source: Annotated[State | None, Field(alias="from")]
    target: Annotated[State, Field(alias="to")]
    step: int
    by: Name
    detail: Text = ""


class CheckWaived(EventData):
    """A pre-flight check failed and somebody had said that it may."""

    check: Name
    by: Name | None
    why: Text | None
    found: Text


class VersionCreated(EventData):
    """The new MEK version exists; these were enabled before it."""

    version: Version
    replaces: Versions


class RowsUnexplained(EventData):
    """Rows are not as the last completed rotation left them; told before the first row is rewrapped."""

    since: Name | None  # that rotation; null where there is none to compare with
    count: int
    named: Annotated[list[UnexplainedRow], Field(max_length=UNEXPLAINED_MAX)]  # the first of them


class RowQuarantined(EventData):
    """A row cannot be rewrapped."""

    row: QuarantinedRow


class EvidenceFrozen(EventData):
    """What an approver is asked to decide on, by its digest."""

    digest: Digest
    expires_at: datetime | None


class DecisionTaken(EventData):
    """A person decided on exactly one evidence digest."""

    decision: Literal["approved", "rejected"]
    by: Name
    digest: Digest
    comment: Remark = ""


class CommandGiven(EventData):
    """An operator told the rotation to try again, to end, or to take its retirement back."""

    command: Literal["retry", "abort", "reinstate"]
    by: Name
    step: int


class VersionsRetired(EventData):
    """Old versions were disabled, on this evidence, with this approval."""

    versions: Versions
    digest: Digest | None
    approved_by: Name | None


class VersionsReinstated(EventData):
    """Versions that the rotation had disabled were enabled again."""

    versions: Versions


class VersionsTemporarilyEnabled(EventData):
    """Disabled versions were enabled for the time of a restore, on this evidence, with this approval."""

    versions: Versions
    digest: Digest | None
    approved_by: Name | None


class VersionsDisabledAgain(EventData):
    """What was enabled for a restore was disabled again, because no row named it."""

    versions: Versions


class AttemptRefused(EventData):
    """Somebody asked for what may not be; ``by`` is null where nobody knows who it was."""

    attempt: Attempt
    by: Text | None
    error: Name  # name of a class of keyturn.errors
    detail: Text


TYPE_PREFIX = "dev.keyturn.rotation."

TYPES: Mapping[type[EventData], str] = {
    StateChanged: f"{TYPE_PREFIX}state_changed",
    CheckWaived: f"{TYPE_PREFIX}check_waived",
    VersionCreated: f"{TYPE_PREFIX}version_created",
    RowsUnexplained: f"{TYPE_PREFIX}rows_unexplained",
    RowQuarantined: f"{TYPE_PREFIX}row_quarantined",
    EvidenceFrozen: f"{TYPE_PREFIX}evidence_frozen",
    DecisionTaken: f"{TYPE_PREFIX}decision_taken",
    CommandGiven: f"{TYPE_PREFIX}command_given",
    VersionsRetired: f"{TYPE_PREFIX}versions_retired",
    VersionsReinstated: f"{TYPE_PREFIX}versions_reinstated",
    VersionsTemporarilyEnabled: f"{TYPE_PREFIX}versions_lent",
    VersionsDisabledAgain: f"{TYPE_PREFIX}versions_returned",
    AttemptRefused: f"{TYPE_PREFIX}attempt_refused",
}


class AuditEvent(Payload):
    """One thing that happened; ``key`` is the same whoever reports it, and however often, within its rotation."""

    key: str
    at: datetime
    data: EventData

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return TYPES[type(self.data)]
