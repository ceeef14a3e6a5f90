"""What all payloads share, the policy in force, and what starts a workflow or a step."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self, override

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from keyturn.contracts.characters import unseen
from keyturn.contracts.states import State
from keyturn.errors import LateError

TEXT_BYTES_MAX = 500
OBJECT_ID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def _clip(text: object) -> object:
    if isinstance(text, str) and len(raw := text.encode()) > TEXT_BYTES_MAX:
        return raw[: TEXT_BYTES_MAX - len("…".encode())].decode(errors="ignore") + "…"
    return text


def _readable(name: object) -> object:
    if isinstance(name, str) and (character := unseen(name)) is not None:
        raise PydanticCustomError("unseen", "expected a name without {at}: a reader does not see it", {"at": character})
    return name


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
PersonName = Annotated[Name, BeforeValidator(_readable)]  # as a body or a setting gives it; records may hold older ones
ObjectId = Annotated[str, StringConstraints(to_lower=True, pattern=OBJECT_ID)]  # of a person or program in Entra ID
Text = Annotated[str, BeforeValidator(_clip)]  # ours: cut to its length, because a long detail must not fail a run
Remark = Annotated[str, StringConstraints(max_length=500)]  # a person's: refused where it is too long, never cut

# The id of a run of any kind. JSON that is stored, and the HTTP API, name it after a rotation: every run was one once.
RunId = Annotated[str, Field(alias="rotationId")]


class Payload(BaseModel):
    """Base of every model here: immutable, strict about unknown properties, camelCase outside."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON form that durable history keeps."""
        return self.model_dump(mode="json", by_alias=True)

    def shown_as[M: Payload](self, model: type[M], **more: Any) -> M:
        """Return the model with the fields that this one has too, and these."""
        own = {name: getattr(self, name) for name in model.model_fields if name in type(self).model_fields}
        return model.model_validate({**own, **more})

    @classmethod
    def from_payload(cls, payload: object) -> Self:
        """Validate a JSON form; raises pydantic's ValidationError naming the property that is off."""
        return cls.model_validate(payload)


@dataclass(frozen=True, slots=True)
class ProofScope:
    """How many of the rewrapped rows are proven; in JSON the text ``all``, ``sample:N`` or ``unsafe_off``."""

    mode: Literal["all", "sample", "unsafe_off"] = "all"
    size: int = 0  # of a sample, in rows

    @classmethod
    def parse(cls, value: object) -> "ProofScope":
        """Return the scope for its text; raises ValueError for any other value."""
        if isinstance(value, cls):
            return value
        match str(value).split(":"):
            case ["all" | "unsafe_off" as mode]:
                return cls(mode)
            case ["sample", size] if re.fullmatch(r"[1-9][0-9]*", size):
                return cls("sample", int(size))
        raise ValueError("expected all, sample:N or unsafe_off")

    def rows_of(self, rows: int) -> int:
        """Return how many of so many rewrapped rows are to be proven."""
        return {"all": rows, "sample": min(self.size, rows), "unsafe_off": 0}[self.mode]

    def least_of(self, rows: int) -> int:
        """Return how many proven rows bear the scope out. Chance draws a sample: half of it is missed by no chance."""
        return self.rows_of(rows) // (2 if self.mode == "sample" else 1)

    @override
    def __str__(self) -> str:
        return f"sample:{self.size}" if self.mode == "sample" else self.mode


class Policy(Payload):
    """The settings in force for one rotation, frozen when it is requested; durations are ISO 8601 in JSON."""

    key_size: Literal[2048, 3072, 4096] = 4096  # bits of the new MEK version
    vault_operations_per_second: Annotated[float, Field(gt=0)] = 35.0  # what this rotation may take of the vault
    proof_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # of the above, for proving while soaking
    page_rows: Annotated[int, Field(ge=1, le=250)] = 100  # rows a page activity works on
    window_pages: Annotated[int, Field(ge=1, le=16)] = 4  # page activities in flight
    soak: timedelta = timedelta(hours=24)
    quiet_interval: timedelta = timedelta(hours=1)  # no stale row may have been met for this long
    tail_interval: timedelta = timedelta(minutes=15)  # between tail sweeps while soaking or waiting
    proof: Annotated[ProofScope, BeforeValidator(ProofScope.parse), PlainSerializer(ProofScope.__str__)] = ProofScope()
    approval_reminder: timedelta = timedelta(hours=24)
    approval_expiry: timedelta = timedelta(days=7)
    watch: timedelta = timedelta(minutes=30)  # trial period after the disable
    watch_interval: timedelta = timedelta(minutes=1)
    retain: timedelta = timedelta(days=30)  # a retired version is kept at least this long
    creation_settle: timedelta = timedelta(seconds=30)  # how long a lost answer to "create" may still take effect


class RunRef(Payload):
    """Which run something belongs to. The fencing token grows with every run of the keyring."""

    run_id: RunId
    keyring: str
    fencing_token: int  # a run with a smaller one than the keyring's has lost its lease


class RunInput(Payload):
    """Base of the inputs of a run's workflows and activities, and the input of those that need no more."""

    run: RunRef
    not_after: datetime | None = None  # the time after which an activity writes nothing; None: from an earlier release

    def check_in_time(self, now: datetime) -> None:
        """Raise LateError where it is too late to write anything for this input."""
        if self.not_after is not None and now > self.not_after:
            raise LateError("an activity came too late", rotationId=self.run.run_id, holder=None)

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, value: object) -> object:
        """Take the flat form of release 0.1, which the history of a run in flight may hold."""
        if not isinstance(value, Mapping) or "rotationId" not in value:
            return value
        flat = {"rotationId", "keyring", "fencingToken"}
        run = {name: value[name] for name in flat if name in value}
        return {"run": run, **{name: found for name, found in value.items() if name not in flat}}


def read_json(text: str | bytes) -> Any:
    """Return the JSON value (RFC 8259: in UTF-8, no NaN); raises ValueError, also where a member is there twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(members := dict(pairs)) < len(pairs):
            raise ValueError("a member is there twice")
        return members

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    decoded = text if isinstance(text, str) else text.decode()
    return json.loads(decoded, object_pairs_hook=unique, parse_constant=refuse)


def named_run(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an unchecked payload names its run by: ``run``, or itself in the form of release 0.1."""
    run = payload.get("run")
    return run if isinstance(run, Mapping) else payload


class RotationInput(RunInput):
    """Input of the ``rotation`` workflow."""

    dry_run: bool = False
    policy: Policy
    # Set when the workflow continues as new after evidence was void or an operator asked for another try, and when a
    # run goes on whose workflow was lost.
    step: int = 0  # state changes so far
    round: int = 1
    target_version: str | None = None
    commands_seen: int = 0
    rewrapped: int = 0  # rows, over all rounds so far
    reinstate: bool = False  # versions may be disabled that are not to be: they come first


class StepInput(RunInput):
    """Input of ``advance``: one state change, numbered so that a second run of it changes nothing."""

    step: int  # counts the state changes of this rotation from 1
    target: State
    detail: str = ""
