"""What the console draws of a run: its phases as a line, the census as bars, rows over time as a curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from keyturn.contracts.states import State
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import PhaseProgress
from keyturn.runs.records import RotationRecord

# Of the drawings, in their own units; the style sheet makes them as wide as there is room.
BAR_WIDTH = 100.0
CURVE_WIDTH, CURVE_HEIGHT = 600.0, 120.0

_ROTATION = (
    *(State.REQUESTED, State.PREFLIGHT, State.CREATING_VERSION, State.SWEEPING, State.SOAKING),
    *(State.AWAITING_APPROVAL, State.RETIRING, State.WATCHING, State.COMPLETED),
)
_DRY_RUN = (State.REQUESTED, State.PREFLIGHT, State.COMPLETED)
type Mark = Literal["pass", "look", "fail", "none"]
MARKS: Mapping[State, Mark] = {
    **dict.fromkeys((State.COMPLETED,), "pass"),
    **dict.fromkeys((State.FAILED, State.BLOCKED), "fail"),
    **dict.fromkeys((State.NEEDS_ATTENTION, State.REINSTATED, State.EXPIRED, State.REJECTED, State.ABORTED), "look"),
    State.AWAITING_APPROVAL: "look",
}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def moment(at: datetime | None) -> str:
    """Return a time (UTC) as ``24 Nov 2026 03:00:05 UTC``; an unknown one is said to be."""
    return "not known" if at is None else f"{at:%d %b %Y %H:%M:%S} UTC".removeprefix("0")


def lasting(span: timedelta) -> str:
    """Return how long something lasts in its two largest units: ``2 d 3 h``."""
    seconds, parts = max(0, round(span.total_seconds())), list[str]()
    for size, unit in _UNITS:
        if seconds >= size or parts:
            parts.append(f"{seconds // size} {unit}")
        seconds %= size
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


def words(name: str) -> str:
    """Return a state or an event as people write it."""
    return name.replace("_", " ")


@dataclass(frozen=True)
class Step:
    """One phase of a run."""

    name: str
    mark: Literal["done", "now", "failed", "todo"]
    at: str = ""  # when it was entered last
    lasted: str = ""
    detail: str = ""


def steps_of(record: RunRecord, now: datetime) -> list[Step]:
    """Return the phases of a run in their order: those that it went through, where it is, and what is to come."""
    line = _line(record)
    current = next(entry.target for entry in reversed(record.history) if entry.target in line)
    place = line.index(current)
    steps = [_step(record, state, "done", now) for state in line[: place + 1]]
    if record.state is not current:
        steps.append(_step(record, record.state, "failed", now))
    elif not record.ended:
        steps[-1] = _step(record, current, "now", now)
    return [*steps, *(Step(words(state), "todo") for state in line[place + 1 :] if not record.ended)]


def _line(record: RunRecord) -> Sequence[State]:
    if isinstance(record, RotationRecord):
        return _DRY_RUN if record.options.dry_run else _ROTATION
    # A migration that was decided on runs twice: what it has gone through is in the order in which it was entered last.
    seen = dict.fromkeys(entry.target for entry in reversed(record.history) if entry.target in _MIGRATION)
    return [*reversed(seen), *([] if State.COMPLETED in seen else [State.COMPLETED])]


_MIGRATION = frozenset({State.REQUESTED, State.RUNNING, State.AWAITING_APPROVAL, State.COMPLETED})


def _step(record: RunRecord, state: State, mark: Literal["done", "now", "failed"], now: datetime) -> Step:
    entries = [*record.history]
    place = max((number for number, entry in enumerate(entries) if entry.target is state), default=None)
    if place is None:
        return Step(words(state), mark)
    entry = entries[place]
    left = entries[place + 1].at if place + 1 < len(entries) else None
    over = record.ended and left is None
    lasted = "" if over else lasting((left or now) - entry.at)
    return Step(words(state), mark, moment(entry.at), lasted, entry.detail)


@dataclass(frozen=True)
class Bar:
    """The rows of one version, before and now."""

    version: str
    target: bool  # the version that rows go to
    before: int | None  # null where nothing was counted
    now: int | None
    before_width: float
    now_width: float


def bars_of(before: Mapping[str, int] | None, now: Mapping[str, int] | None, target: str | None) -> list[Bar]:
    """Return the rows by version; the widest bar of both counts fills the width."""
    versions = dict.fromkeys([*(before or {}), *(now or {}), *([target] if target else [])])
    most = max([1, *(before or {}).values(), *(now or {}).values()])

    def bar(version: str) -> Bar:
        first = None if before is None else before.get(version, 0)
        second = None if now is None else now.get(version, 0)
        widths = (round(BAR_WIDTH * (count or 0) / most, 2) for count in (first, second))
        return Bar(version or "(none)", version == target, first, second, *widths)

    return [bar(version) for version in versions]


@dataclass(frozen=True)
class Curve:
    """Rows over time in one phase; ``points`` is what an SVG polyline takes.

    The time is that in the states which the phase works in: after days of waiting for an approver, a last look would
    press minutes of work into a line at the edge.
    """

    phase: str
    points: str
    begun: str
    ended: str
    worked: str  # how much time the width stands for
    last: int
    top: int  # how many rows the height stands for


# Where a phase begins with no row done; a proof begins anew with every soak.
_BEGIN: Mapping[str, Sequence[State]] = {
    "sweep": (State.SWEEPING, State.RUNNING),
    "check": (State.RUNNING,),
    "proof": (State.SOAKING,),
}


def curves_of(record: RunRecord) -> list[Curve]:
    """Return a curve for each phase of which samples were taken, from where the phase began."""
    return [curve for phase, known in record.progress.items() if (curve := _curve(record, phase, known)) is not None]


def _curve(record: RunRecord, phase: str, progress: PhaseProgress) -> Curve | None:
    spans = _spans(record, _BEGIN[phase])[-1 if phase == "proof" else 0 :]
    samples = [(one.at, one.rows) for one in progress.samples]
    if not samples or not spans:
        return None
    (begun, _), (ended, last) = spans[0], samples[-1]
    if (span := _within(spans, ended)) <= timedelta(0):
        return None
    most = max(1, progress.rows_total or 0, *(rows for _, rows in samples))
    places = (
        (CURVE_WIDTH * (_within(spans, at) / span), CURVE_HEIGHT * (1 - rows / most))
        for at, rows in [(begun, 0), *samples]
    )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Curve(phase, points, moment(begun), moment(ended), lasting(span), last, most)


def _spans(record: RunRecord, states: Sequence[State]) -> list[tuple[datetime, datetime | None]]:
    """Return when the run was in these states: from when until when, None where it still is."""
    left = [*(entry.at for entry in record.history[1:]), None]
    return [(entry.at, end) for entry, end in zip(record.history, left, strict=True) if entry.target in states]


def _within(spans: Sequence[tuple[datetime, datetime | None]], at: datetime) -> timedelta:
    """Return how much of the spans had passed at that time."""
    passed = (min(at, end or at) - begun for begun, end in spans)
    return sum((span for span in passed if span > timedelta(0)), timedelta(0))
