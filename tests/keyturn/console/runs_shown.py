"""Runs as the console meets them: with a history of a minute a state, and with progress."""

import itertools
from datetime import datetime, timedelta
from typing import Any

from keyturn.access.caller import Caller
from keyturn.console.sessions import Visitor
from keyturn.contracts.migrations import Restore
from keyturn.contracts.pages import PageResult
from keyturn.contracts.states import State
from keyturn.ids import RunKind, instance_id_of, new_run_id
from keyturn.runs.record_parts import HistoryEntry, PhaseProgress, Sample
from keyturn.runs.records import MigrationRecord, RotationRecord
from tests.keyturn.runs.lifecycle import NOW, make_record

VISITOR = Visitor(Caller(None), "dana@example.com", "session one")
MINUTE = timedelta(minutes=1)
LATER = NOW + timedelta(hours=1)


def history(*states: State) -> list[HistoryEntry]:
    """Return a history through these states, a minute each."""
    steps = [(None, State.REQUESTED), *itertools.pairwise([State.REQUESTED, *states])]
    return [
        HistoryEntry(at=NOW + number * MINUTE, source=source, target=target, step=number, actor="keyturn")
        for number, (source, target) in enumerate(steps)
    ]


def went(*states: State, **fields: Any) -> RotationRecord:
    """Return a rotation that went through these states."""
    given: dict[str, Any] = {"history": history(*states), "state": (State.REQUESTED, *states)[-1], **fields}
    return make_record(**given)


def migrated(*states: State, **fields: Any) -> MigrationRecord:
    """Return a restore that went through these states."""
    record = make_record()
    shared = {name: getattr(record, name) for name in ("keyring", "requested_by", "requested_at", "policy")}
    own = {"history": history(*states), "state": (State.REQUESTED, *states)[-1], "work": Restore(), "fencing_token": 2}
    run = {
        "run_id": new_run_id(RunKind.MIGRATION, "default", NOW),
        "instance_id": instance_id_of(RunKind.MIGRATION, ""),
    }
    return MigrationRecord(**{**shared, **own, **run, **fields})


def progress(*rows: int, total: int | None = 200, began: datetime = NOW) -> PhaseProgress:
    """Return a sweep with a sample every ten seconds."""
    samples = [Sample(at=began + timedelta(seconds=10 * number), rows=count) for number, count in enumerate(rows)]
    return PhaseProgress(
        pass_number=1,
        wave=len(rows),
        scanned=0,
        current=PageResult(changed=rows[-1] if rows else 0),
        rows_total=total,
        started_at=NOW,
        updated_at=NOW + timedelta(seconds=10 * len(rows)),
        samples=samples,
    )
