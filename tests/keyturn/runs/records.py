"""Records of runs in every state, made without any service: every step is one of the transition table."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import JsonValue

from keyturn.contracts.migrations import Restore
from keyturn.contracts.states import State
from keyturn.ids import RunKind, new_run_id
from keyturn.runs.record import RunRecord, digest_of
from keyturn.runs.record_parts import Decision, HistoryEntry, RequestOptions
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.transitions import enter
from tests.keyturn.runs.lifecycle import APPROVER, CENSUS, NOW, PATHS, POLICY, REQUESTER, make_record

EVIDENCE: dict[str, JsonValue] = {"quarantined": 0}
DIGEST = digest_of(EVIDENCE)
EXPIRES = NOW + timedelta(days=7)
LATER = NOW + timedelta(minutes=1)
APPROVAL = Decision(decision="approved", by=APPROVER, digest=DIGEST, at=NOW, webhook_id="earlier")

MIGRATION_PATHS: Mapping[State, list[State]] = {
    State.REQUESTED: [],
    State.RUNNING: [State.RUNNING],
    State.AWAITING_APPROVAL: [State.RUNNING, State.AWAITING_APPROVAL],
    State.NEEDS_ATTENTION: [State.RUNNING, State.NEEDS_ATTENTION],
    State.COMPLETED: [State.RUNNING, State.COMPLETED],
    State.REJECTED: [State.RUNNING, State.AWAITING_APPROVAL, State.REJECTED],
    State.EXPIRED: [State.RUNNING, State.AWAITING_APPROVAL, State.EXPIRED],
    State.ABORTED: [State.RUNNING, State.ABORTED],
    State.FAILED: [State.RUNNING, State.FAILED],
}


def rotation(state: State = State.REQUESTED, **fields: Any) -> RotationRecord:
    """Return a rotation in the state, with these fields changed."""
    return _brought(make_record(), PATHS[state]).changed(**fields)


def migration(state: State = State.REQUESTED, **fields: Any) -> MigrationRecord:
    """Return a restore in the state, with these fields changed."""
    requested = MigrationRecord(
        run_id=new_run_id(RunKind.MIGRATION, "default", NOW),
        keyring="default",
        history=[HistoryEntry(at=NOW, source=None, target=State.REQUESTED, step=0, actor=REQUESTER)],
        requested_by=REQUESTER,
        requested_at=NOW,
        policy=POLICY,
        instance_id="migration-default",
        fencing_token=1,
        work=Restore(),
    )
    return _brought(requested, MIGRATION_PATHS[state]).changed(**fields)


def _brought[R: RunRecord](record: R, path: list[State]) -> R:
    for target in path:
        record = enter(ready_for(record, target), target, detail="", now=NOW)
    return record


def ready_for[R: RunRecord](record: R, target: State) -> R:
    """Return the record with what the target asks for: frozen evidence, or its approval."""
    if target is State.AWAITING_APPROVAL:
        frozen = {"evidence": EVIDENCE, "evidence_digest": DIGEST, "evidence_frozen_at": NOW}
        return record.changed(**frozen, approval_expires_at=EXPIRES)
    if target is State.RETIRING:
        return record.changed(evidence_digest=DIGEST, decision=APPROVAL)
    if (record.state, target) == (State.PREFLIGHT, State.COMPLETED):
        return record.changed(options=RequestOptions(dry_run=True))
    return record


# Every state that a run of either kind can be in.
STATES: list[tuple[Callable[..., RunRecord], State]] = [
    *((rotation, state) for state in PATHS),
    *((migration, state) for state in MIGRATION_PATHS),
]


EXPLAINED = {"since": "r", "created": 0, "count": 0, "named": []}
SOUND: dict[str, Any] = {
    "census": CENSUS.to_payload(),
    "quarantined": 0,
    "proof": {"mode": "all", "proven": 10, "quarantined": 0, "gone": 0, "warning": None},
    "policy": {"soak": "P1D", "watch": "PT30M"},
    "waivedChecks": [],
    "staleWriters": {"count": 0, "lastSeen": None},
    "provenance": EXPLAINED,
    "planted": EXPLAINED,
    "canaries": [{"outcome": "pass"}],
    "probes": [{"outcome": "pass"}, {"outcome": "pass"}],
}

WAIVED = {"check": "backup", "by": "ada@example.com", "why": "it is a copy", "detail": "no policy"}
