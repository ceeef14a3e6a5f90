"""The run's record: everything that is known about one rotation, in one document.

It is the truth about the run; durable history is not. It lives in the container ``keyturn``, partition ``/keyring``,
and is only ever changed through :meth:`keyturn.rotation.run_store.RunStore.update`.
"""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue

from keyturn.contracts import CensusResult, Payload, Policy
from keyturn.errors import UnknownRotationError
from keyturn.rotation.record_parts import (
    CANARIES_MAX,
    COMMANDS_MAX,
    DECISIONS_MAX,
    HISTORY_MAX,
    NOTICES_MAX,
    PROBES_MAX,
    Canary,
    Command,
    Decision,
    Failure,
    HistoryEntry,
    Name,
    Notice,
    PhaseProgress,
    Preflight,
    Probe,
    Proof,
    Provenance,
    Quarantined,
    Remark,
    RequestOptions,
    StaleWriters,
    VersionIntent,
)
from keyturn.rotation.states import TERMINAL, State

_ROTATION_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,39})\.\d{8}T\d{6}Z\.[0-9a-f]{6}")


class RotationRecord(Payload):
    """One rotation."""

    kind: Literal["rotation"] = "rotation"
    rotation_id: Annotated[str, Field(alias="id")]
    keyring: str
    state: State = State.REQUESTED
    step: int = 0  # number of the last state change that was applied
    history: Annotated[list[HistoryEntry], Field(max_length=HISTORY_MAX)]
    history_omitted: int = 0  # entries left out of the middle of a very long history

    requested_by: Name
    requested_by_id: str | None = None  # object id in Entra ID, where it vouches for the requester
    requested_at: datetime
    reason: Remark = ""
    trigger: Literal["http", "schedule", "cli"]
    options: RequestOptions = RequestOptions()
    policy: Policy
    instance_id: str
    fencing_token: int

    preflight: Preflight | None = None
    old_versions: Annotated[list[str], Field(max_length=500)] = Field(default_factory=list)
    target_version: str | None = None
    version_intent: VersionIntent | None = None

    provenance: Provenance | None = None
    progress: dict[Literal["sweep", "proof"], PhaseProgress] = Field(default_factory=dict)
    census: CensusResult | None = None
    quarantined: Quarantined = Quarantined()
    stale_writers: StaleWriters = StaleWriters()
    canaries: Annotated[list[Canary], Field(max_length=CANARIES_MAX)] = Field(default_factory=list)
    probes: Annotated[list[Probe], Field(max_length=PROBES_MAX)] = Field(default_factory=list)
    proof: Proof | None = None

    evidence: dict[str, JsonValue] | None = None
    evidence_digest: str | None = None
    evidence_frozen_at: datetime | None = None
    approval_expires_at: datetime | None = None
    decision: Decision | None = None  # on the evidence in force
    decisions: Annotated[list[Decision], Field(max_length=DECISIONS_MAX)] = Field(default_factory=list)  # voided ones
    commands: Annotated[list[Command], Field(max_length=COMMANDS_MAX)] = Field(default_factory=list)

    retired: list[str] = Field(default_factory=list)
    reinstated: list[str] = Field(default_factory=list)
    error: Failure | None = None
    ended_at: datetime | None = None
    notifications: Annotated[list[Notice], Field(max_length=NOTICES_MAX)] = Field(default_factory=list)

    etag: Annotated[str | None, Field(exclude=True)] = None  # of the document that this was read from

    @property
    def ended(self) -> bool:
        """Tell whether the rotation has reached one of its ends."""
        return self.state in TERMINAL

    @property
    def abort(self) -> Command | None:
        """Return the command by which an operator asked to end the rotation, if there is one."""
        return next((given for given in self.commands if given.command == "abort"), None)

    def to_document(self) -> dict[str, Any]:
        """Return the document as it is stored."""
        return self.to_payload()

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read a stored document; the database's own properties, all but the ETag, are left out."""
        own = {name: value for name, value in document.items() if not name.startswith("_")}
        return cls.model_validate({**own, "etag": document.get("_etag")})

    def changed(self, **update: Any) -> Self:
        """Return a copy with these fields changed, validated like a new record."""
        return type(self).model_validate({**dict(self), **update})


def new_rotation_id(keyring: str, at: datetime) -> str:
    """Return a fresh id that sorts by time within its keyring and names it."""
    return f"{keyring}.{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.{secrets.token_hex(3)}"


def keyring_of(rotation_id: str) -> str:
    """Return the keyring, which is the partition, that an id belongs to; raises UnknownRotationError if it is none."""
    if (match := _ROTATION_ID.fullmatch(rotation_id)) is None:
        raise UnknownRotationError("there is no such rotation", rotationId=rotation_id)
    return match[1]


def instance_id_of(keyring: str) -> str:
    """Return the workflow instance that runs this keyring's rotations: fixed, so that there can only be one."""
    return f"rotation-{keyring}"
