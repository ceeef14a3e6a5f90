"""The record of a migration: everything that is known about one, in one document."""

from collections.abc import Mapping
from typing import ClassVar, Literal, override

from pydantic import Field

from keyturn.contracts import MigrationInput, Phase, RewrapDeks, Work
from keyturn.migrations.states import MIGRATION_TRANSITIONS
from keyturn.rotation.run_record import RunRecord
from keyturn.rotation.states import State


class MigrationRecord(RunRecord):
    """One migration."""

    transitions: ClassVar[Mapping[State, frozenset[State]]] = MIGRATION_TRANSITIONS

    kind: Literal["migration"] = "migration"
    work: Work
    dry_run: bool = False

    # Of a restore: where rows go, which disabled versions they name, which of them were enabled, and disabled again.
    target_version: str | None = None
    versions: list[str] = Field(default_factory=list)
    frozen_at_step: int | None = None
    lent: list[str] = Field(default_factory=list)
    returned: list[str] = Field(default_factory=list)

    @override
    def rows_to_begin_with(self, phase: Phase) -> int | None:
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
        return MigrationInput(
            rotation_id=self.rotation_id,
            keyring=self.keyring,
            fencing_token=self.fencing_token,
            dry_run=self.dry_run,
            policy=self.policy,
            work=self.work,
        )


def instance_id_of(keyring: str) -> str:
    """Return the workflow instance that runs this keyring's migrations: fixed, so that there can only be one."""
    return f"migration-{keyring}"
