"""Start a rotation: claim the idempotency key, let a run that lost its workflow go on, take the lease.

What is returned is a record in ``requested``; the caller starts the workflow for it.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from keyturn.contracts.base import Name, Payload, PersonName, Policy, Remark
from keyturn.contracts.characters import counted
from keyturn.contracts.migrations import RestoreRows
from keyturn.contracts.states import State
from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import InvariantError, RotationRunningError, TooManyStartsError
from keyturn.ids import RunKind, instance_id_of, new_run_id
from keyturn.runs.audit import record_refusal
from keyturn.runs.idempotency import claim
from keyturn.runs.lease import read_lease, release, take
from keyturn.runs.migration_leases import is_kept, keep_lease
from keyturn.runs.record import RunRecord, digest_of
from keyturn.runs.record_parts import Force, HistoryEntry, RequestOptions, Waiver
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import EveryRun, RotationStore
from keyturn.runs.transitions import WORKFLOW_LOST, lose, resume

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class WaiverRequest(Payload):
    """A pre-flight check that may fail; who says so is the requester unless named."""

    check: Name
    why: _Line
    by: PersonName | None = None


class StartRequest(Payload):
    """What may stand in the body of a start."""

    keyring: str | None = None  # may be left out where there is only one
    requested_by: PersonName | None = None
    reason: Remark = ""
    dry_run: bool = False
    snapshot_reference: _Line | None = None
    force: Force | None = None
    waivers: Annotated[list[WaiverRequest], Field(max_length=20)] = Field(default_factory=list)

    def options(self, requested_by: str) -> RequestOptions:
        """Return what the record keeps of the wishes."""
        return RequestOptions(
            dry_run=self.dry_run,
            snapshot_reference=self.snapshot_reference,
            force=self.force,
            waivers=[Waiver(check=one.check, by=one.by or requested_by, why=one.why) for one in self.waivers],
        )


# A record is written before its workflow is started. Within this time a missing workflow may still be on its way: an
# HTTP request to the app lasts at most 230 seconds.
START_GRACE = timedelta(minutes=5)


DAY = timedelta(days=1)
_STARTS = (
    "SELECT c.requestedAt FROM c WHERE c.kind = @kind AND c.trigger = @trigger AND c.options.dryRun = @dryRun "
    "AND c.requestedAt > @since"
)


class Workflows(NamedTuple):
    """What a start must know and do about another run's workflow."""

    is_alive: Callable[[str], Awaitable[bool]]  # does the instance exist, and has it not ended?
    start: Callable[[RunRecord], Awaitable[object]]  # start the workflow that goes on with the record


async def start(
    runs: RotationStore,
    request: StartRequest,
    *,
    keyring: str,
    requested_by: str,
    trigger: Literal["http", "schedule", "cli"],
    policy: Policy,
    workflows: Workflows,
    starts_per_day: int,
    now: datetime,
    idempotency_key: str | None = None,
    requested_by_id: str | None = None,
) -> RotationRecord:
    """Create the rotation's record and take its keyring; a repeated request is answered with the rotation that it made.

    Raises:
        RotationRunningError: another rotation holds the keyring.
        MigrationRunningError: a migration holds the keyring.
        IdempotencyConflictError: the key was used for another request.
        TooManyStartsError: as many rotations of the keyring as may be have begun within a day.
    """
    run_id = new_run_id(RunKind.ROTATION, keyring, now)
    if idempotency_key is not None:
        # Of the request as it is understood, and by whom it is made.
        hashed = digest_of({**request.to_payload(), "keyring": keyring, "requestedBy": requested_by})
        who = {"caller": requested_by_id or requested_by, "keyring": keyring}
        run_id = await claim(runs.documents, idempotency_key, **who, request_hash=hashed, run_id=run_id, now=now)
        if (earlier := await runs.find(run_id)) is not None:
            return earlier
    await resume_orphan(runs.documents, keyring, workflows, now)
    record = RotationRecord(
        run_id=run_id,
        keyring=keyring,
        history=[HistoryEntry(at=now, source=None, target=State.REQUESTED, step=0, actor=requested_by)],
        requested_by=requested_by,
        requested_by_id=requested_by_id,
        requested_at=now,
        reason=request.reason,
        trigger=trigger,
        options=request.options(requested_by),
        policy=policy,
        instance_id=instance_id_of(RunKind.ROTATION, keyring),
        fencing_token=0,  # the lease gives it
    )
    try:
        admit = partial(_require_few, runs, record, starts_per_day)
        return await take(runs, record, admit)
    except RotationRunningError as error:
        await record_refusal(runs, error.facts["rotationId"], "start", error, by=requested_by, now=now)
        raise


async def _require_few(runs: RotationStore, record: RotationRecord, most: int) -> None:
    """Raise TooManyStartsError where so many rotations have begun within a day for the same reason as this one.

    Dry runs, the schedule's and those that people start are counted apart, so that none uses up what is another's.
    """
    since = f"{(record.requested_at - DAY).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    same = {"@kind": record.kind, "@trigger": record.trigger, "@dryRun": record.options.dry_run}
    found = await runs.documents.query(record.keyring, _STARTS, {**same, "@since": since})
    if len(found) < most:
        return
    began = datetime.fromisoformat(sorted(one["requestedAt"] for one in found)[-most])
    raise TooManyStartsError(
        f"{counted(len(found), 'rotation')} of {record.keyring} began within a day, and no more than {most} may",
        keyring=record.keyring,
        setting="KEYTURN_STARTS_PER_DAY",
        retryAfterSeconds=max(1, ceil((began + DAY - record.requested_at).total_seconds())),
        hint=f"wait, or raise KEYTURN_STARTS_PER_DAY; who starts them: keyturn list --keyring {record.keyring}",
    )


async def resume_orphan(documents: StateContainer, keyring: str, workflows: Workflows, now: datetime) -> None:
    """Free the keyring of a run that ended without giving it back; a run whose workflow is gone goes on with another.

    Raises UnavailableError where the workflow cannot be asked after, or not be started.
    """
    runs = EveryRun(documents)
    lease = await read_lease(runs, keyring)
    if lease is None or lease.holder is None:
        return
    if (record := await runs.find(lease.holder)) is None:
        raise InvariantError("the lease names a run without a record", rotationId=lease.holder)
    if record.ended:
        await release(runs, record)
        return
    if isinstance(record, MigrationRecord) and isinstance(record.work, RestoreRows):
        if not await is_kept(documents, record, now):  # the process that did it has died, and no workflow goes on
            await lose(runs, record.run_id, "its process has ended without a word", now)
        return
    waits = record.state is State.REQUESTED or record.history[-1].detail == WORKFLOW_LOST
    if (waits and now - record.history[-1].at < START_GRACE) or await workflows.is_alive(record.instance_id):
        return
    if record.state is not State.REQUESTED:
        record = await resume(runs, record, now)
        await keep_lease(documents, record, now)
    if not record.ended:
        await workflows.start(record)
