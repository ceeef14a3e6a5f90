"""How triggers reach a run's workflow: start it for a record, ask whether it lives, wake it up."""

import asyncio
import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.client import OrchestrationStatus

from keyturn.contracts.base import named_run
from keyturn.contracts.states import State
from keyturn.errors import UnavailableError
from keyturn.runs.record import RunRecord
from keyturn.runs.store import Runs
from keyturn.runs.transitions import lose
from keyturn.telemetry.signals import in_trace_of

# The previous run's instance may still be ending when its record has ended: ten seconds are plenty for that.
ATTEMPTS = 20
WAIT_SECONDS = 0.5

_ENDED = frozenset({OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED})
# The instance does not exist, or has ended.
_NO_WORKFLOW = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})
_WITHOUT_WORKFLOW = frozenset({State.REQUESTED, State.NEEDS_ATTENTION})  # as far as the record tells
_log = logging.getLogger(__name__)


async def ensure_started[R: RunRecord](client: df.DurableFunctionsClient, runs: Runs[R], record: RunRecord) -> None:
    """Start the workflow of a new record, or of one that goes on, unless it was started; twice is the same as once.

    Raises:
        UnavailableError: it could not be started. A new run has failed and its keyring is free again; any other is
            tried again when the schedule is looked at next.
    """
    if record.state not in _WITHOUT_WORKFLOW:
        return
    # Replaceable is what has ended: a running instance is never taken the place of.
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[status.value for status in _ENDED])
    for _ in range(ATTEMPTS):
        try:
            if await _was_started(client, record):
                return
            with in_trace_of(record.run_id):
                await client.schedule_new_orchestration(
                    record.kind,  # a workflow is named after the kind of run
                    input=record.to_input().to_payload(),
                    instance_id=record.instance_id,
                    reuse_id_policy=policy,
                )
        except grpc.aio.AioRpcError as error:
            _log.warning("the workflow of %s was not started: %s", record.run_id, error.code())
        else:
            return
        await asyncio.sleep(WAIT_SECONDS)
    if record.state is State.REQUESTED:
        await lose(runs, record.run_id, "the workflow could not be started", datetime.now(UTC))
    raise UnavailableError("the workflow could not be started", resource="the task hub")


async def _was_started(client: df.DurableFunctionsClient, record: RunRecord) -> bool:
    state = await client.get_orchestration_state(record.instance_id)
    given = state.get_input(dict) if state is not None else None
    named = named_run(given) if isinstance(given, dict) else {}
    return (named.get("rotationId"), named.get("fencingToken")) == (record.run_id, record.fencing_token)


async def is_alive(client: df.DurableFunctionsClient, instance_id: str) -> bool:
    """Tell whether the instance exists and has not ended; raises UnavailableError."""
    try:
        state = await client.get_orchestration_state(instance_id, fetch_payloads=False)
    except grpc.aio.AioRpcError as error:
        raise UnavailableError(f"the task hub answered {error.code().name}", resource="the task hub") from error
    return state is not None and state.runtime_status not in _ENDED


async def wake(client: df.DurableFunctionsClient, record: RunRecord, event: str) -> None:
    """Tell the workflow to read the record; raises UnavailableError."""
    try:
        await client.raise_orchestration_event(record.instance_id, event, data={"rotationId": record.run_id})
    except grpc.aio.AioRpcError as error:
        if error.code() not in _NO_WORKFLOW:
            raise UnavailableError(f"the task hub answered {error.code().name}", resource="the task hub") from error
        # The record holds what was decided; the next start finds that this workflow is gone.
        _log.warning("there is no workflow for %s", record.run_id)
