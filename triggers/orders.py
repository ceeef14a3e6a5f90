"""What callers order, whichever door they come through: the API's routes and the console's forms do the same."""

import asyncio
from datetime import UTC, datetime

import azure.durable_functions as df

from keyturn.access.caller import Caller
from keyturn.approval.deciders import require_decider
from keyturn.contracts.migrations import Work
from keyturn.contracts.states import State
from keyturn.contracts.steps import NotifyInput
from keyturn.ids import RunKind, keyring_of
from keyturn.migrations.requests import MigrationRequest, RollbackRequest, require_not_overtaken, rollback_work
from keyturn.migrations.start import start_migration
from keyturn.preflight.checks import require_waivable
from keyturn.resources import Resources
from keyturn.rotation.retirement import order_reinstatement
from keyturn.rotation.start import StartRequest, resume_orphan, start
from keyturn.runs.commands import Order, record_command
from keyturn.runs.record import RunRecord
from keyturn.runs.records import MigrationRecord, RotationRecord
from keyturn.runs.store import Runs
from orchestrators.waiting import COMMAND_EVENT
from triggers.lost_runs import workflows_of
from triggers.workflow import ensure_started, wake

# A rotation that waits for attention ends within a second or two of being told to.
LOOKS = 40
WAIT_SECONDS = 0.5


async def begin_rotation(
    client: df.DurableFunctionsClient, resources: Resources, caller: Caller, request: StartRequest, key: str | None
) -> RotationRecord:
    """Start a rotation and its workflow; ``key`` is the Idempotency-Key, and the same request with it is one."""
    require_waivable(waiver.check for waiver in request.waivers)
    requester = caller.identity(request.requested_by)
    for number, waiver in enumerate(request.waivers):
        caller.require_own(waiver.by, f"waivers.{number}.by")
    started = await start(
        resources.run_store,
        request,
        keyring=resources.settings.keyring(request.keyring).name,
        requested_by=requester.name,
        requested_by_id=requester.object_id,
        trigger="http",
        policy=resources.settings.policy,
        workflows=workflows_of(client, resources),
        starts_per_day=resources.settings.keyturn_starts_per_day,
        now=datetime.now(UTC),
        idempotency_key=key,
    )
    await ensure_started(client, resources.every_run, started)
    return started


async def begin_migration(
    client: df.DurableFunctionsClient,
    resources: Resources,
    caller: Caller,
    request: MigrationRequest,
    wanted: Work,
    key: str | None,
) -> MigrationRecord:
    """Start a migration and its workflow; ``key`` as for a rotation."""
    requester = caller.identity(request.requested_by)
    record = await start_migration(
        resources.migrations,
        wanted,
        keyring=resources.settings.keyring(request.keyring).name,
        requested_by=requester.name,
        requested_by_id=requester.object_id,
        reason=request.reason,
        dry_run=request.dry_run,
        policy=resources.settings.policy,
        workflows=workflows_of(client, resources),
        now=datetime.now(UTC),
        idempotency_key=key,
        plan=await request.plan(resources),
    )
    await ensure_started(client, resources.every_run, record)
    return record


async def roll_back(
    client: df.DurableFunctionsClient,
    resources: Resources,
    caller: Caller,
    run_id: str,
    request: RollbackRequest,
    key: str | None,
) -> MigrationRecord:
    """Start the rollback of a rotation; one that needs attention is ended first."""
    by = caller.identity(request.requested_by).name
    record = await resources.run_store.read(run_id)
    wanted = await rollback_work(record, resources.run_store)
    await require_not_overtaken(record, resources.run_store, resources.migrations)
    if wanted.approval and not request.dry_run:
        require_decider(resources.settings, caller.identity(request.requested_by))
    if record.state is State.NEEDS_ATTENTION and not request.dry_run:
        await _end(client, resources, record, by)
    return await begin_migration(client, resources, caller, request.of(record.keyring), wanted, key)


async def _end(client: df.DurableFunctionsClient, resources: Resources, record: RotationRecord, by: str) -> None:
    """Abort the rotation and wait until it has ended; where it has not by then, it still holds its keyring."""
    await record_command(resources.run_store, record.run_id, "abort", by=by, now=datetime.now(UTC))
    await wake(client, record, COMMAND_EVENT)
    for _ in range(LOOKS):
        if (await resources.run_store.read(record.run_id)).ended:
            return
        await asyncio.sleep(WAIT_SECONDS)


async def command[R: RunRecord](
    client: df.DurableFunctionsClient, resources: Resources, runs: Runs[R], run_id: str, order: Order, by: str
) -> R:
    """Record an operator's ``retry`` or ``abort``, and wake the workflow."""
    now = datetime.now(UTC)
    record = await record_command(runs, run_id, order, by=by, now=now)
    # A run that lost its workflow goes on with another, which obeys; to any other it is told.
    await resume_orphan(runs.documents, record.keyring, workflows_of(client, resources), now)
    await wake(client, record, COMMAND_EVENT)
    return record


async def reinstate(client: df.DurableFunctionsClient, resources: Resources, run_id: str, by: str) -> RotationRecord:
    """Enable again what a rotation has retired; its workflow, where there still is one, ends it and tells people."""
    runs, now = resources.run_store, datetime.now(UTC)
    versions = resources.keyring(keyring_of(run_id, RunKind.ROTATION)).versions
    record = await order_reinstatement(runs, versions, run_id, by=by, now=now)
    if record.state is State.COMPLETED:
        notice = NotifyInput(run=record.ref, key="ordered:reinstated", event="reinstated", detail=f"{by} ordered it")
        await resources.notifier.tell(notice, now)
    else:
        await wake(client, record, COMMAND_EVENT)
    return record
