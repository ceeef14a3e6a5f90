"""What the explorer knows: moments of runs, runs that are stopped, what happened meanwhile, and what was found."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from field_encrypt.dek import Dek
from tests.overlap.gate import Gate, Stop
from tests.overlap.harness import Saved, Snapshot

_IDS = re.compile(r"k[0-9a-f]{12}\.[\w.]+|[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27}")


class Moment(NamedTuple):
    """The services as they were, and the driver of the run."""

    saved: Saved
    driver: Any


class Meanwhile(NamedTuple):
    """What happened while a run was stopped, and the world after it."""

    name: str
    saved: Saved
    seconds: float = 3600  # that passed: a run that goes on, or ends, is never as quick as one other activity
    deks: dict[str, Dek] | None = None  # that rows must give, where their owner gave them others


@dataclass
class Stopped:
    """A run of an activity, as it was stopped."""

    stop: Stop
    gate: Gate
    began: datetime  # which it finds again where it is stopped again
    saved: Saved
    snapshot: Snapshot

    @property
    def looked(self) -> bool:
        """Whether it had seen that its run holds the keyring: what it writes next, a later run meets and changes."""
        return any(self.gate.sent[number].about.endswith("/docs/lease/") for number in self.gate.answers)

    @property
    def written(self) -> tuple[str, ...]:
        """What it had written, by which what happens meanwhile is known."""
        answers = self.gate.answers.items()
        return tuple(
            self.gate.sent[number].about
            for number, answer in answers
            if self.gate.sent[number].writes and answer.status < HTTPStatus.BAD_REQUEST
        )


class Wrong(NamedTuple):
    """One thing that is wrong after one experiment."""

    stop: str
    meanwhile: str
    reason: str


@dataclass
class Report:
    """What was explored, and what was found."""

    stops: int = 0
    pairs: set[str] = field(default_factory=set)  # the places whose activities ran at once with this one
    experiments: int = 0
    runs: int = 0  # what is the same as an experiment before is not run again
    cut: Counter[str] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)

    def findings(self) -> list[str]:
        """Return what is wrong, each thing once: how often, with what meanwhile, and where it is seen first."""
        kinds: dict[tuple[str, str], list[Wrong]] = {}
        for one in self.wrong:
            kinds.setdefault((one.meanwhile, _IDS.sub("...", one.reason)), []).append(one)
        return [
            f"{len(found)} x {meanwhile}: {reason} (first {found[0].stop})"
            for (meanwhile, reason), found in kinds.items()
        ]
