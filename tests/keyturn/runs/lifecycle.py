"""Rotations to test with: fresh records, runs that hold their keyring, and runs brought into any state."""

import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from keyturn.contracts.base import Policy, StepInput
from keyturn.contracts.passes import CensusResult
from keyturn.contracts.states import State
from keyturn.contracts.steps import FreezeInput
from keyturn.ids import RunKind, instance_id_of, new_run_id
from keyturn.rotation.due import Versions
from keyturn.rotation.evidence import freeze_evidence
from keyturn.rotation.new_version import record_census
from keyturn.rotation.start import StartRequest, Workflows, start
from keyturn.runs.record import RunRecord
from keyturn.runs.record_parts import Decision, HistoryEntry, Provenance
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import RotationStore
from keyturn.runs.transitions import record_step

NOW = datetime(2026, 3, 1, 3, 0, 0, tzinfo=UTC)
REQUESTER = "ada@example.com"
APPROVER = "grace@example.com"
# A run whose every step is dated NOW has followed it.
POLICY = Policy(soak=timedelta(0), quiet_interval=timedelta(0), watch=timedelta(0))
CENSUS = CensusResult(total=10, on_target=10, stale=0, unlabelled=0, foreign=0, by_version={"new": 10})

UNTOUCHED = Provenance(since="r", created=0, count=0, named=[])

# How a run gets into each state, as the workflow would bring it there.
PATHS: dict[State, list[State]] = {
    State.REQUESTED: [],
    State.PREFLIGHT: [State.PREFLIGHT],
    State.CREATING_VERSION: [State.PREFLIGHT, State.CREATING_VERSION],
    State.SWEEPING: [State.PREFLIGHT, State.CREATING_VERSION, State.SWEEPING],
    State.SOAKING: [State.PREFLIGHT, State.CREATING_VERSION, State.SWEEPING, State.SOAKING],
    State.NEEDS_ATTENTION: [State.PREFLIGHT, State.CREATING_VERSION, State.SWEEPING, State.NEEDS_ATTENTION],
    State.AWAITING_APPROVAL: [
        State.PREFLIGHT,
        State.CREATING_VERSION,
        State.SWEEPING,
        State.SOAKING,
        State.AWAITING_APPROVAL,
    ],
}
PATHS |= {
    State.RETIRING: [*PATHS[State.AWAITING_APPROVAL], State.RETIRING],
    State.WATCHING: [*PATHS[State.AWAITING_APPROVAL], State.RETIRING, State.WATCHING],
    State.COMPLETED: [*PATHS[State.AWAITING_APPROVAL], State.RETIRING, State.WATCHING, State.COMPLETED],
    State.REINSTATED: [*PATHS[State.AWAITING_APPROVAL], State.RETIRING, State.WATCHING, State.REINSTATED],
    State.REJECTED: [*PATHS[State.AWAITING_APPROVAL], State.REJECTED],
    State.EXPIRED: [*PATHS[State.AWAITING_APPROVAL], State.EXPIRED],
    State.BLOCKED: [State.PREFLIGHT, State.BLOCKED],
    State.ABORTED: [*PATHS[State.NEEDS_ATTENTION], State.ABORTED],
    State.FAILED: [*PATHS[State.SWEEPING], State.FAILED],
}


def new_keyring() -> str:
    """Return a keyring of the test's own."""
    return f"k{uuid.uuid4().hex[:12]}"


def monthly(keyring: str, versions: Versions) -> tuple[Any, Any]:
    """Return a keyring and settings, as far as the schedule asks them: monthly, and overdue ten days later."""
    clients = SimpleNamespace(keyring=SimpleNamespace(name=keyring), versions=SimpleNamespace(states=versions))
    settings = {"rotation_schedule": "0 0 3 1 * *", "keyturn_overdue_after": timedelta(days=10)}
    return clients, SimpleNamespace(**settings, policy=Policy(), keyturn_starts_per_day=3)


def make_record(keyring: str = "default", **fields: Any) -> RotationRecord:
    """Return a record that is stored nowhere."""
    values: dict[str, Any] = {
        "run_id": new_run_id(RunKind.ROTATION, keyring, NOW),
        "keyring": keyring,
        "history": [HistoryEntry(at=NOW, source=None, target=State.REQUESTED, step=0, actor=REQUESTER)],
        "requested_by": REQUESTER,
        "requested_at": NOW,
        "trigger": "http",
        "policy": POLICY,
        "instance_id": instance_id_of(RunKind.ROTATION, keyring),
        "fencing_token": 1,
    }
    return RotationRecord(**{**values, **fields})


def workflows(*, alive: bool = True) -> Workflows:
    """Return workflows that all live, or that are all gone and that nobody is to start."""

    async def is_alive(_instance_id: str) -> bool:
        return alive

    async def start_workflow(record: RunRecord) -> None:
        raise AssertionError(f"the workflow of {record.run_id} is not to be started")

    return Workflows(is_alive=is_alive, start=start_workflow)


async def start_run(
    runs: RotationStore, keyring: str | None = None, *, now: datetime = NOW, alive: bool = True, **body: Any
) -> RotationRecord:
    """Start a rotation of a keyring of its own, whose earlier run's workflow lives."""
    return await start(
        runs,
        StartRequest(**body),
        keyring=keyring or new_keyring(),
        requested_by=REQUESTER,
        trigger="http",
        policy=POLICY,
        workflows=workflows(alive=alive),
        starts_per_day=1000,
        now=now,
    )


async def step_to(runs: RotationStore, record: RotationRecord, target: State) -> RotationRecord:
    """Take the next step, with frozen evidence and an approval where the target asks for them."""
    if target is State.AWAITING_APPROVAL:
        record = await freeze(runs, record)
    if target is State.RETIRING:
        record = await approve(runs, record)
    return await record_step(runs, StepInput(run=record.ref, step=record.step + 1, target=target), NOW)


async def bring_to(runs: RotationStore, state: State, **body: Any) -> RotationRecord:
    """Start a rotation and bring it into the state."""
    record = await start_run(runs, **body)
    for target in PATHS[state]:
        record = await step_to(runs, record, target)
    return record


async def freeze(runs: RotationStore, record: RotationRecord, **fields: Any) -> RotationRecord:
    """Freeze the evidence of a run that soaks and return its record."""
    values: dict[str, Any] = {
        "target_version": "new",
        "census": CENSUS,
        "stale_writers": 0,
        "last_stale_write": None,
        "expires_at": NOW + timedelta(days=7),
    }
    if record.state is State.SOAKING:
        await record_census(runs, record.ref, {**values, **fields}["census"])
    await freeze_evidence(runs, FreezeInput(run=record.ref, **{**values, **fields}), NOW, UNTOUCHED)
    return await runs.read(record.run_id)


async def approve(runs: RotationStore, record: RotationRecord) -> RotationRecord:
    """Write an approval of the evidence in force, as the webhook would."""
    digest = record.evidence_digest or ""
    decision = Decision(decision="approved", by=APPROVER, digest=digest, at=NOW)
    return await runs.update(record.run_id, lambda run: run.changed(decision=decision))


async def start_with(
    runs: RotationStore, keyring: str, key: str, requested_by: str = REQUESTER, **body: object
) -> RotationRecord:
    """Start a rotation with an idempotency key."""
    return await start(
        runs,
        StartRequest.model_validate(body),
        keyring=keyring,
        requested_by=requested_by,
        trigger="http",
        policy=Policy(),
        workflows=workflows(),
        starts_per_day=1000,
        now=NOW,
        idempotency_key=key,
    )
