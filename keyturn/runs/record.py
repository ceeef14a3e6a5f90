"""What the records of all runs share: a rotation's and a migration's.

A record is one document in the container ``keyturn``, partition ``/keyring``. It is the truth about its run; durable
history is not. It is only ever changed through :meth:`keyturn.runs.store.Runs.update`.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

import rfc8785
from pydantic import Field, JsonValue

from keyturn.access.identity import Identity
from keyturn.contracts.base import Name, Policy, Remark, RotationInput, RunRef
from keyturn.contracts.pages import PageResult
from keyturn.contracts.passes import CensusResult, Phase
from keyturn.contracts.states import TERMINAL, TRANSITIONS, State
from keyturn.cosmos.state_container import StoredDocument
from keyturn.errors import EvidenceAlteredError, InvariantError
from keyturn.ids import RunKind
from keyturn.runs import record_parts as parts


def digest_of(content: Mapping[str, JsonValue]) -> str:
    """Return the lower-case hex SHA-256 of the content's canonical JSON (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps(dict(content))).hexdigest()


def digest_found(stored: Mapping[str, JsonValue] | None) -> str | None:
    """Return the digest of what is stored; None without it, or where it was given what has no canonical form."""
    try:
        return digest_of(stored) if stored is not None else None
    except rfc8785.CanonicalizationError:
        return None


class RunRecord(StoredDocument):
    """One run: how far it is, what was found, and what was decided."""

    transitions: ClassVar[Mapping[State, frozenset[State]]] = TRANSITIONS

    kind: RunKind
    run_id: Annotated[str, Field(alias="id")]  # of the run: what its rows and its fencing are known by
    keyring: str
    state: State = State.REQUESTED
    step: int = 0  # number of the last state change that was applied
    history: Annotated[list[parts.HistoryEntry], Field(max_length=parts.HISTORY_MAX)]
    history_omitted: int = 0  # entries left out of the middle of a very long history

    requested_by: Name
    requested_by_id: str | None = None  # object id in Entra ID, where it vouches for the requester
    requested_at: datetime
    reason: Remark = ""
    policy: Policy
    instance_id: str
    fencing_token: int

    progress: dict[Phase, parts.PhaseProgress] = Field(default_factory=dict)
    census: CensusResult | None = None
    quarantined: parts.Quarantined = parts.Quarantined()

    evidence: dict[str, JsonValue] | None = None
    evidence_digest: str | None = None
    evidence_frozen_at: datetime | None = None
    approval_expires_at: datetime | None = None
    decision: parts.Decision | None = None  # on the evidence in force
    # Those on evidence that is void.
    decisions: Annotated[list[parts.Decision], Field(max_length=parts.DECISIONS_MAX)] = Field(default_factory=list)
    commands: Annotated[list[parts.Command], Field(max_length=parts.COMMANDS_MAX)] = Field(default_factory=list)

    notifications: Annotated[list[parts.Notice], Field(max_length=parts.NOTICES_MAX)] = Field(default_factory=list)

    error: parts.Failure | None = None
    ended_at: datetime | None = None

    @property
    def ref(self) -> RunRef:
        """Return what inputs of workflows and activities name this run by."""
        return RunRef(run_id=self.run_id, keyring=self.keyring, fencing_token=self.fencing_token)

    @property
    def requester(self) -> Identity:
        """Return who asked for the run, to compare with who decides on it."""
        return Identity(self.requested_by, self.requested_by_id)

    @property
    def ended(self) -> bool:
        """Tell whether the run has reached one of its ends."""
        return self.state in TERMINAL

    @property
    def abort(self) -> parts.Command | None:
        """Return the command by which an operator asked to end the run, if there is one."""
        return next((given for given in self.commands if given.command == "abort"), None)

    @property
    def taken(self) -> list[parts.Decision]:
        """Return every decision on the run, voided ones first."""
        return [*self.decisions, *([self.decision] if self.decision is not None else [])]

    @property
    def evidence_intact(self) -> bool | None:
        """Tell whether the evidence still hashes to its digest, which others may write to; None without either."""
        if self.evidence is None and self.evidence_digest is None:
            return None
        found = digest_found(self.evidence)
        return found is not None and found == self.evidence_digest

    def check_evidence(self) -> dict[str, JsonValue]:
        """Return the evidence, hashed again; raises EvidenceAlteredError where its digest names something else."""
        if self.evidence is None or not self.evidence_intact:
            facts: dict[str, Any] = {"evidenceDigest": self.evidence_digest, "found": digest_found(self.evidence)}
            said, run = "the evidence is not what its digest names", self.run_id
            kept = f"{EvidenceAlteredError.hint}: keyturn report {run} --json; keyturn abort {run}"
            raise EvidenceAlteredError(said, hint=kept, rotationId=run, **facts)
        return self.evidence

    def approved_evidence(self, digest: str) -> dict[str, JsonValue]:
        """Return the evidence in force, hashed again; raises InvariantError unless that very digest is approved."""
        decision = self.decision
        approved = decision is not None and decision.decision == "approved"
        if not approved or {digest, self.evidence_digest} != {decision and decision.digest}:
            raise InvariantError("the evidence in force is not approved", rotationId=self.run_id)
        return self.check_evidence()

    @property
    def decided_by(self) -> str | None:
        """Return who took the decision in force, if there is one."""
        return self.decision.by if self.decision is not None else None

    def last_step(self, state: State) -> int:
        """Return the step at which the state was entered last, or 0."""
        return max((entry.step for entry in self.history if entry.target is state), default=0)

    def entered_at(self, state: State) -> datetime | None:
        """Return when the state was entered last, or None."""
        return next((entry.at for entry in reversed(self.history) if entry.target is state), None)

    def totals(self, phase: Phase) -> PageResult:
        """Return the sum over all passes of the phase; zeros where none was begun."""
        progress = self.progress.get(phase)
        return PageResult() if progress is None else progress.totals

    @abstractmethod
    def rows_to_begin_with(self, phase: Phase) -> int | None:
        """Return how many rows the phase begins with, as far as the record tells."""

    def after_sweep(self, sweep: parts.PhaseProgress) -> Self:  # noqa: ARG002 - only a rotation's record counts stale writers
        """Return the record with what its kind keeps of a sweep's progress, beside the progress itself."""
        return self

    def standing(self) -> dict[str, Any]:
        """Return what every workflow is started with: nothing has happened yet, or it goes on from here."""
        return {"run": self.ref, "policy": self.policy, "step": self.step, "commands_seen": len(self.commands)}

    @abstractmethod
    def to_input(self) -> RotationInput:
        """Return what the run's workflow, which is named after its kind, is started with."""

    def changed(self, **update: Any) -> Self:
        """Return a copy with these fields changed, validated like a new record."""
        return type(self).model_validate({**dict(self), **update})
