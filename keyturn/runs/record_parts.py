"""The parts of a run's record. Every list and text in them is bounded, so that the document stays far below 2 MB."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from keyturn.contracts.base import Name, Payload, Remark, Text
from keyturn.contracts.pages import DEKS, PageResult, QuarantinedRow, UnexplainedRow, add_results
from keyturn.contracts.states import State
from keyturn.settings.channels import CHANNELS_PER_SETTING

HISTORY_MAX = 300
CHECKS_MAX = 60
CANARIES_MAX = 50
PROBES_MAX = 20
REFERENCES_MAX = 20
NAMED_ROWS_MAX = 100
COMMANDS_MAX = 100
DECISIONS_MAX = 20
NOTICES_MAX = 200
ACKNOWLEDGED_MAX = 40
CHANNELS_MAX = 3 * CHANNELS_PER_SETTING


class HistoryEntry(Payload):
    """One state change."""

    at: datetime
    source: Annotated[State | None, Field(alias="from")]
    target: Annotated[State, Field(alias="to")]
    step: int
    actor: str
    detail: Text = ""


class Waiver(Payload):
    """A pre-flight check that may fail, and who says so."""

    check: Name
    by: Name
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Force(Payload):
    """Start outside the maintenance window."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class RequestOptions(Payload):
    """What the requester asked for beyond the rotation itself."""

    dry_run: bool = False
    snapshot_reference: Annotated[str, StringConstraints(max_length=500)] | None = None
    force: Force | None = None
    waivers: Annotated[list[Waiver], Field(max_length=20)] = Field(default_factory=list)


class Check(Payload):
    """One named check: what came of it, what was seen, and what to do about it."""

    name: Name
    outcome: Literal["pass", "fail", "waived"]
    detail: Text = ""
    hint: Text = ""


class Plan(Payload):
    """What the rotation will take, at the budget in force; unknown is null."""

    rows: int
    rows_by_version: dict[str, int]
    vault_operations: int
    request_units: float | None = None
    seconds: float | None = None
    cost_usd: float | None = None


class Preflight(Payload):
    """The pre-flight checks and the plan."""

    at: datetime
    checks: Annotated[list[Check], Field(max_length=CHECKS_MAX)]
    plan: Plan | None = None


class VersionIntent(Payload):
    """Written before a version is created, so that a lost answer is waited for before another try."""

    at: datetime


class PhaseProgress(Payload):
    """How far the passes of one phase are: ``current`` is the pass under way, ``earlier`` the sum of the others."""

    pass_number: int
    wave: int
    scanned: int
    current: PageResult
    earlier: PageResult = PageResult()
    source: str = DEKS
    # Rows that the phase began with, null when no census told; or documents in the container that the pass goes over.
    rows_total: int | None = None
    started_at: datetime  # of the pass under way
    updated_at: datetime

    @property
    def totals(self) -> PageResult:
        """Return the sum over all passes of the phase; the proof's starts anew with each soak."""
        return add_results(self.earlier, self.current)


class Quarantined(Payload):
    """Rows that cannot be rewrapped: how many, and the first of them by name."""

    since: datetime | None = None  # start of the pass that met them
    count: int = 0
    others: int = 0  # of those named, which that pass cannot meet: a proof did; they stay until the run sweeps anew
    named: Annotated[list[QuarantinedRow], Field(max_length=NAMED_ROWS_MAX)] = Field(default_factory=list)


class Provenance(Payload):
    """How the rows differ from what runs of Keyturn have left."""

    since: str | None  # the rotation since which was looked; null where there is none to compare with
    created: int | None  # rows that say they were created since, by an unknown writer
    count: int  # rows that were changed since by no run, or lack what a rotation writes
    named: Annotated[list[UnexplainedRow], Field(max_length=NAMED_ROWS_MAX)]


class StaleWriters(Payload):
    """Rows created under an old version after the new one existed."""

    count: int = 0
    last_seen: datetime | None = None


class Proof(Payload):
    """Rows unwrapped with the new version and compared by their key check."""

    mode: str  # as in the policy: all, sample:N, unsafe_off
    proven: int
    quarantined: int
    gone: int
    warning: str | None = None


class Canary(Payload):
    """A real document that must decrypt."""

    container: Name
    document_id: Annotated[str, StringConstraints(max_length=1023)]
    partition: str | float | bool | None  # the value of its partition key
    outcome: Literal["pass", "fail"]
    detail: Text = ""


class MissingDek(Payload):
    """A document that names a DEK which the store lacks."""

    container: Name
    document_id: Annotated[str, StringConstraints(max_length=1023)]
    dek_id: Text


class Probe(Payload):
    """A URL of the backend that must answer."""

    url: Annotated[str, StringConstraints(max_length=2000)]
    outcome: Literal["pass", "fail"]
    status: int | None = None
    detail: Text = ""


class Decision(Payload):
    """An approver's decision on exactly one evidence digest."""

    decision: Literal["approved", "rejected"]
    by: Name
    by_id: str | None = None  # object id in Entra ID, where it vouches for the approver
    digest: str
    at: datetime
    webhook_id: str | None = None  # of the message, or of the link, that brought it
    comment: Remark = ""
    acknowledged: Annotated[list[str], Field(max_length=ACKNOWLEDGED_MAX)] = Field(default_factory=list)  # warnings


class Command(Payload):
    """What an operator asked for; ``step`` tells which wait it was meant for."""

    command: Literal["retry", "abort", "reinstate"]
    by: Name
    at: datetime
    step: int


class Failure(Payload):
    """Why a run failed, in Keyturn's own words."""

    type: str
    message: Text


class ChannelOutcome(Payload):
    """What became of a message on one channel, which is named by its place in the setting, never by its URL."""

    setting: Literal["NOTIFICATION_URLS", "ON_CALL_URLS", "APPROVER_URLS"]
    number: int  # from 1 on
    scheme: Annotated[str, Field(max_length=40)]
    # interrupted: the sender died, so it is not known whether it was sent; it is not sent again.
    outcome: Literal["sending", "sent", "failed", "interrupted"]
    error: Annotated[str, Field(max_length=80)] | None = None  # a type or an HTTP status


class Notice(Payload):
    """An event of which a notification was sent."""

    key: Annotated[str, Field(max_length=100)]  # tells events apart: one that is known is not told again
    event: Annotated[str, Field(max_length=40)]
    at: datetime
    claim: Annotated[str, Field(max_length=32)]  # whose work the sending is: of two that come at once, one sends
    channels: Annotated[list[ChannelOutcome], Field(max_length=CHANNELS_MAX)]
