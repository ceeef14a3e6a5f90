"""Recorded histories as files: what workflows have left in the task hub, and what surrounds a run in flight.

    <release>/ended/<name>.json       every workflow of one run that came to its end
    <release>/in_flight/<state>.json  the workflows of a rotation in that state, and its documents, versions and rows
    <release>/in_flight/restore.json  the same of a restore that waits for its approval

A file holds ids, counts and times. It holds no wrap and no key: a loader makes rows and versions of its own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.json_format import ParseDict

RECORDINGS = Path(__file__).parent
ENDED, IN_FLIGHT = "ended", "in_flight"

type Json = Mapping[str, Any]

# Kinds of events that say what a workflow asked for; every other one says what it was told.
ASKED = frozenset(
    {"taskScheduled", "timerCreated", "subOrchestrationInstanceCreated", "executionCompleted", "continueAsNew"}
)
_BOOKENDS = frozenset({"orchestratorCompleted"})


@dataclass(frozen=True)
class Generation:
    """One run of a workflow, from its start to its end or to its continue-as-new."""

    release: str
    file: str
    instance_id: str
    name: str
    number: int
    continued: bool  # another generation follows
    events: tuple[Json, ...]

    @property
    def label(self) -> str:
        """What a test is called that replays it."""
        return f"{self.release}/{self.file}/{self.instance_id}#{self.number}"

    def turns(self) -> Iterator[tuple[list[pb.HistoryEvent], list[pb.HistoryEvent], list[Json]]]:
        """Yield each turn: the events before it, the events that caused it, and what the workflow asked for in it."""
        past: list[Json] = []
        for turn in self._split():
            received = [event for event in turn if event["kind"] not in ASKED | _BOOKENDS]
            asked = [event for event in turn if event["kind"] in ASKED]
            yield [message(event) for event in past], [message(event) for event in received], asked
            past += turn

    def _split(self) -> list[list[Json]]:
        turns: list[list[Json]] = []
        for event in self.events:
            if event["kind"] == "orchestratorStarted":
                turns.append([])
            turns[-1].append(event)
        return turns


def message(event: Json) -> pb.HistoryEvent:
    """Return the event as the hub sends it."""
    made: pb.HistoryEvent = ParseDict(  # type: ignore[no-untyped-call]  # protobuf ships no types
        {"eventId": event["eventId"], "timestamp": event["timestamp"], event["kind"]: event["content"]},
        pb.HistoryEvent(),
    )
    return made


def in_flight_releases() -> list[str]:
    """Return the releases of which there are recordings."""
    return sorted(folder.name for folder in RECORDINGS.iterdir() if (folder / IN_FLIGHT).is_dir())


def read(release: str, kind: str) -> dict[str, Json]:
    """Return the release's recordings of this kind, by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((RECORDINGS / release / kind).glob("*.json"))}


def generations(release: str) -> list[Generation]:
    """Return everything of a release that can be replayed."""
    return [
        Generation(
            release=release,
            file=f"{kind}/{name}",
            instance_id=instance["instanceId"],
            name=instance["name"],
            number=run["generation"],
            continued=run is not instance["generations"][-1],
            events=tuple(run["events"]),
        )
        for kind in (ENDED, IN_FLIGHT)
        for name, recorded in read(release, kind).items()
        for instance in recorded["instances"]
        for run in instance["generations"]
    ]


def write(release: str, kind: str, name: str, recorded: Json) -> None:
    """Write one file, an event or a document a line, so that a difference can be read."""
    path = RECORDINGS / release / kind / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(recorded) + "\n")


def _lines(value: Any, indent: str = "") -> str:
    """Return JSON that breaks lines down to events and documents, and no further."""
    inner = indent + " "
    if isinstance(value, Mapping) and any(isinstance(found, list) for found in value.values()) and len(indent) < 5:
        parts = [f"{inner}{json.dumps(name)}: {_lines(found, inner)}" for name, found in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _lines(found, inner) for found in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
