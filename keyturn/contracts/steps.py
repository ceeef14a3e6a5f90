"""The steps around the sweep: pre-flight, the new version, soak, evidence, decision, retirement, watch."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from keyturn.contracts.base import Payload, Policy, RunInput, RunRef
from keyturn.contracts.pages import Cursors, SampleShare, SessionTokens
from keyturn.contracts.passes import CensusResult


class PreflightResult(Payload):
    """Answer of ``preflight``; the checks themselves are in the record."""

    passed: bool
    failed_checks: list[str] = Field(default_factory=list)


class CreateVersionInput(RunInput):
    """Input of ``create_version``."""

    key_size: int
    creation_settle: timedelta


class VersionResult(Payload):
    """Answer of ``create_version``."""

    version: str


class SoakInput(RunInput):
    """Input of the ``soak`` workflow, and its state when it is continued as new."""

    target_version: str
    policy: Policy
    session_tokens: SessionTokens = Field(default_factory=dict)
    cursors: Cursors  # where the tail sweeps go on
    proof_cursors: Cursors = Field(default_factory=dict)  # where proving goes on; empty: at the start
    last_stale_write: datetime | None = None
    stale_writers: int = 0
    rewrapped: int = 0
    proven: int = 0
    sample_share: SampleShare = 1.0  # of the rewrapped rows, those that are proven
    started_at: datetime | None = None
    ticks: int = 0
    recounts: int = 0  # how often the soak went on because rewrapped rows were not proven


class SoakResult(Payload):
    """Answer of ``soak``: it was quiet for long enough, or rows were found that cannot be rewrapped or proven."""

    quarantined: int
    unproven: int = 0  # rewrapped rows that the proof has not met, where the policy asks for all of them
    proven: int
    rewrapped: int
    stale_writers: int
    last_stale_write: datetime | None
    session_tokens: SessionTokens
    aborted: bool = False  # an operator asked to end the rotation


class VerifyResult(Payload):
    """Answer of ``verify``: canaries, probes, references; failures are named by check, details are in the record."""

    passed: bool
    failed_checks: list[str] = Field(default_factory=list)


class FreezeInput(RunInput):
    """Input of ``freeze_evidence``."""

    target_version: str
    census: CensusResult
    stale_writers: int
    last_stale_write: datetime | None
    expires_at: datetime


class FreezeResult(Payload):
    """Answer of ``freeze_evidence``."""

    evidence_digest: str  # lower-case hex SHA-256 of the evidence's canonical JSON


class DecisionInput(RunInput):
    """Input of ``read_decision``."""

    evidence_digest: str


class DecisionResult(Payload):
    """Answer of ``read_decision``: what was decided on exactly this evidence, if anything."""

    decision: Literal["none", "approved", "rejected", "aborted"]
    decided_by: str | None = None


class RetireInput(RunInput):
    """Input of ``retire_versions``: count, and disable in the same step only if the count is zero."""

    target_version: str
    evidence_digest: str
    session_tokens: SessionTokens
    step: int | None = None  # the state change by which the rotation began to retire; None: from release 0.1


class RetireResult(Payload):
    """Answer of ``retire_versions``."""

    retired: list[str]  # version ids; empty when stale rows were found and nothing was disabled
    stale: int
    undone: list[str] = Field(default_factory=list)  # disabled, and enabled again
    planted: int = 0  # rows that were changed beside the rotation, and of which the approver did not know
    withdrawn: bool = False  # an operator ordered reinstatement: nothing stays disabled


class ReinstateInput(RunInput):
    """Input of ``reinstate_versions``: enable again what this rotation disabled."""

    reason: str
    step: int | None = None  # retirements that began at this step or before are withdrawn; None: all
    rotation: RunRef | None = None  # of a rollback: the rotation that is rolled back; None: this run


class ReinstateResult(Payload):
    """Answer of ``reinstate_versions``."""

    reinstated: list[str]


class WatchInput(RunInput):
    """Input of the ``watch`` workflow, and its state when it is continued as new."""

    target_version: str
    policy: Policy
    started_at: datetime | None = None
    commands_seen: int = 0


class WatchResult(Payload):
    """Answer of ``watch``."""

    healthy: bool
    reason: str = ""


class NotifyInput(RunInput):
    """Input of ``notify``."""

    key: str  # the same whenever the same event is told again, and another for any other event of the rotation
    event: str  # a name of keyturn.notifications.events
    detail: str = ""


class FailureInput(RunInput):
    """Input of ``record_failure``: error types and our own messages only, never a foreign exception's text."""

    step: int
    error_type: str
    message: str
    retire_attempted: bool = False  # of release 0.1: versions may be disabled, and are to be enabled again


class CommandInput(RunInput):
    """Input of ``read_command``: did an operator ask to retry, to abort or to reinstate?"""

    seen: int  # commands already acted upon


class CommandResult(Payload):
    """Answer of ``read_command``."""

    command: Literal["none", "retry", "abort", "reinstate"]
    seen: int
