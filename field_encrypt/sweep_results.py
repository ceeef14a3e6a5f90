"""What a sweep over a dek store tells: how far it is, what it found, and where it can go on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from field_encrypt.errors import InvalidSettingError
from field_encrypt.row_states import QuarantineReason, Scalar

RowKey = tuple[str, Scalar]  # the id of a row's item, and its partition key's value


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that cannot be rewrapped, by the id of its item, and why; it is as it was."""

    id: str
    reason: QuarantineReason
    mek_version: str | None  # the version that the row names, or under which its new wrap did not open


Settled = Literal["on_target", "foreign"] | QuarantinedRow


@dataclass(frozen=True, slots=True)
class RewrapProgress:
    """How far a sweep is; ``token`` is for a later call, which goes on from here."""

    target_version: str
    passes: int  # the pass that is under way, from 1
    seen: int  # rows of this pass
    rewrapped: int  # by this call
    quarantined: int  # in this pass
    token: str


@dataclass(frozen=True, slots=True)
class RewrapResult:
    """What became of the rows: those that the service lists by a query, against what the last pass made of each."""

    target_version: str
    counted: int  # rows that the query lists; the pass itself reads the change feed
    on_target: int
    foreign: int  # rows of another key or vault: never touched
    quarantined: tuple[QuarantinedRow, ...]
    rewrapped: int  # by this call, in all passes
    passes: int
    still: bool  # whether the last pass had nothing to move

    @property
    def accounted(self) -> bool:
        """Whether each row that was counted was looked at in a pass that had nothing to move."""
        return self.still and self.counted == self.on_target + self.foreign + len(self.quarantined)

    @property
    def is_complete(self) -> bool:
        """Whether every row of this MEK is on the target: only then may an older version be disabled."""
        return self.accounted and not self.quarantined


@dataclass(slots=True)
class Pass:
    """One pass over the store, as far as it is; a range without a cursor is read from its beginning.

    What became of each row is kept by its key, some 200 bytes a row: live traffic that counts uses changes rows all the
    time, and the feed then shows them again.
    """

    target_version: str
    cursors: dict[str, str] = field(default_factory=dict)  # feed range -> where it goes on
    drained: set[str] = field(default_factory=set)
    settled: dict[RowKey, Settled] = field(default_factory=dict)
    listed: set[RowKey] = field(default_factory=set)

    @property
    def quarantined(self) -> tuple[QuarantinedRow, ...]:
        """The rows that cannot be rewrapped."""
        return tuple(settled for settled in self.settled.values() if isinstance(settled, QuarantinedRow))

    def result(self, *, rewrapped: int, passes: int, still: bool) -> RewrapResult:
        """Return what the listed rows are; a row that is not listed was deleted since it was settled."""
        settled = [self.settled[key] for key in self.listed if key in self.settled]
        return RewrapResult(
            target_version=self.target_version,
            counted=len(self.listed),
            on_target=settled.count("on_target"),
            foreign=settled.count("foreign"),
            quarantined=tuple(one for one in settled if isinstance(one, QuarantinedRow)),
            rewrapped=rewrapped,
            passes=passes,
            still=still,
        )

    def token(self) -> str:
        """Return what a later call needs to go on with this pass; it holds no secret."""
        state = {"target": self.target_version, "cursors": self.cursors, "drained": sorted(self.drained)}
        return json.dumps(state, sort_keys=True, separators=(",", ":"))

    @classmethod
    def resumed(cls, token: str) -> Self:
        """Go on with a pass.

        Raises:
            InvalidSettingError: it is no token.
        """
        try:
            state = json.loads(token)
            target, cursors, drained = state["target"], state["cursors"], state["drained"]
        except (ValueError, TypeError, KeyError):
            target, cursors, drained = None, {}, []
        if not (isinstance(target, str) and target and _is_cursors(cursors) and isinstance(drained, list)):
            raise InvalidSettingError("resume", "the token of a RewrapProgress, unchanged")
        return cls(target, dict(cursors), {str(name) for name in drained})


def _is_cursors(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(cursor, str) for cursor in value.values())
