"""The record of a rotation: everything that is known about one, in one document."""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Literal, override

from pydantic import Field

from keyturn.contracts import Phase, RotationInput
from keyturn.errors import UnknownRotationError
from keyturn.rotation.record_parts import (
    CANARIES_MAX,
    PROBES_MAX,
    Canary,
    Preflight,
    Probe,
    Proof,
    Provenance,
    RequestOptions,
    StaleWriters,
    VersionIntent,
)
from keyturn.rotation.run_record import RunRecord

_ROTATION_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,39})\.\d{8}T\d{6}Z\.[0-9a-f]{6}")


class RotationRecord(RunRecord):
    """One rotation."""

    kind: Literal["rotation"] = "rotation"
    trigger: Literal["http", "schedule", "cli"]
    options: RequestOptions = RequestOptions()

    preflight: Preflight | None = None
    old_versions: Annotated[list[str], Field(max_length=500)] = Field(default_factory=list)
    target_version: str | None = None
    version_intent: VersionIntent | None = None

    provenance: Provenance | None = None
    stale_writers: StaleWriters = StaleWriters()
    canaries: Annotated[list[Canary], Field(max_length=CANARIES_MAX)] = Field(default_factory=list)
    probes: Annotated[list[Probe], Field(max_length=PROBES_MAX)] = Field(default_factory=list)
    proof: Proof | None = None

    retired: list[str] = Field(default_factory=list)
    reinstated: list[str] = Field(default_factory=list)

    @override
    def rows_to_begin_with(self, phase: Phase) -> int | None:
        """Return how many rows the phase begins with, as far as the last census and the policy tell."""
        if self.census is None:
            return None
        if phase != "proof":
            return self.census.stale
        mode, _, size = self.policy.proof.partition(":")
        return min(int(size), self.census.on_target) if mode == "sample" else self.census.on_target

    @override
    def to_input(self) -> RotationInput:
        """Return what the rotation's workflow is started with."""
        return RotationInput(
            rotation_id=self.rotation_id,
            keyring=self.keyring,
            fencing_token=self.fencing_token,
            dry_run=self.options.dry_run,
            policy=self.policy,
        )


def new_rotation_id(keyring: str, at: datetime) -> str:
    """Return a fresh id that names its keyring and, to the second, its time; runs are ordered by fencing token."""
    return f"{keyring}.{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(3)}"


def keyring_of(rotation_id: str) -> str:
    """Return the keyring, which is the partition, that an id belongs to; raises UnknownRotationError if it is none."""
    if (match := _ROTATION_ID.fullmatch(rotation_id)) is None:
        raise UnknownRotationError("there is no such rotation", rotationId=rotation_id)
    return match[1]


def instance_id_of(keyring: str) -> str:
    """Return the workflow instance that runs this keyring's rotations: fixed, so that there can only be one."""
    return f"rotation-{keyring}"
