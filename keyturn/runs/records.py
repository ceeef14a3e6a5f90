"""The records of the two kinds of run: everything that is known about one, in one document."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self, override

from pydantic import Field

from keyturn.contracts import base, passes
from keyturn.contracts.migrations import MigrationInput, RewrapDeks, Rollback, Work
from keyturn.contracts.states import MIGRATION_TRANSITIONS, State
from keyturn.errors import InvariantError
from keyturn.ids import RunKind
from keyturn.runs import record_parts as parts
from keyturn.runs.record import RunRecord

ADOPTED_MAX = 20

_RETIRED = frozenset({State.RETIRING, State.WATCHING, State.COMPLETED})


class RotationRecord(RunRecord):
    """One rotation."""

    kind: Literal[RunKind.ROTATION] = RunKind.ROTATION
    trigger: Literal["http", "schedule", "cli"]
    options: parts.RequestOptions = parts.RequestOptions()

    preflight: parts.Preflight | None = None
    old_versions: Annotated[list[str], Field(max_length=500)] = Field(default_factory=list)
    target_version: str | None = None
    version_intent: parts.VersionIntent | None = None

    provenance: parts.Provenance | None = None  # before the first row was moved
    planted: parts.Provenance | None = None  # since the rotation began
    stale_writers: parts.StaleWriters = parts.StaleWriters()
    canaries: Annotated[list[parts.Canary], Field(max_length=parts.CANARIES_MAX)] = Field(default_factory=list)
    probes: Annotated[list[parts.Probe], Field(max_length=parts.PROBES_MAX)] = Field(default_factory=list)
    references: Annotated[list[parts.MissingDek], Field(max_length=parts.REFERENCES_MAX)] = Field(default_factory=list)
    proof: parts.Proof | None = None

    adopted: Annotated[list[str], Field(max_length=ADOPTED_MAX)] = Field(default_factory=list)  # unfinished rotations

    retired: list[str] = Field(default_factory=list)
    reinstated: list[str] = Field(default_factory=list)
    withdrawn_step: int = 0  # no retirement that began at this step or before is in force any more

    @property
    def retirement_step(self) -> int:
        """Return the step at which the rotation began to retire last, or 0."""
        return self.last_step(State.RETIRING)

    @property
    def retirement_in_force(self) -> bool:
        """Tell whether the rotation's old versions are to be disabled: what a version should be, the records say."""
        begun = self.state in _RETIRED and self.retirement_step > self.withdrawn_step
        return begun and not self.reinstated

    @override
    def rows_to_begin_with(self, phase: passes.Phase) -> int | None:
        """Return how many rows the phase begins with, as far as the last census and the policy tell."""
        if self.census is None:
            return None
        return self.policy.proof.rows_of(self.census.on_target) if phase == "proof" else self.census.stale

    @override
    def after_sweep(self, sweep: parts.PhaseProgress) -> Self:
        """Return the record with the stale writers that the sweep has met, over all its passes."""
        met = sweep.totals
        return self.changed(stale_writers=parts.StaleWriters(count=met.stale_writers, last_seen=met.last_stale_write))

    @override
    def to_input(self) -> base.RotationInput:
        """Return what the rotation's workflow is started with."""
        return base.RotationInput(
            **self.standing(),
            dry_run=self.options.dry_run,
            target_version=self.target_version,
            rewrapped=self.totals("sweep").changed,
            reinstate=self.retirement_step > 0,
        )


class MigrationRecord(RunRecord):
    """One migration."""

    transitions: ClassVar[Mapping[State, frozenset[State]]] = MIGRATION_TRANSITIONS

    kind: Literal[RunKind.MIGRATION] = RunKind.MIGRATION
    work: Work
    dry_run: bool = False
    plan: parts.Plan | None = None  # of a rotation after it: what a dry run that makes DEKs was asked for

    # Of a restore: where rows go, which disabled versions they name, which of them were enabled, and disabled again.
    target_version: str | None = None
    versions: list[str] = Field(default_factory=list)
    frozen_at_step: int | None = None
    temporarily_enabled: Annotated[list[str], Field(alias="lent")] = Field(default_factory=list)
    disabled_again: Annotated[list[str], Field(alias="returned")] = Field(default_factory=list)

    @override
    def rows_to_begin_with(self, phase: passes.Phase) -> int | None:
        """Return how many rows the phase begins with: what a check has found, or what the last census left."""
        if phase != "sweep":
            return None
        if (checked := self.progress.get("check")) is not None:
            return checked.current.changed
        if self.census is None:
            return None  # of documents, only a pass over all of them tells
        if isinstance(self.work, RewrapDeks):
            return self.work.left(self.census)
        return sum(self.census.by_version.get(version, 0) for version in self.versions) if self.versions else None

    @override
    def to_input(self) -> MigrationInput:
        """Return what the migration's workflow is started with."""
        return MigrationInput(**self.standing(), dry_run=self.dry_run, work=self.work)

    @property
    def rollback(self) -> Rollback:
        """Return the work of a rollback; raises InvariantError where the migration is of another kind."""
        if not isinstance(self.work, Rollback):
            raise InvariantError("the migration is no rollback", migrationId=self.run_id)
        return self.work
