"""Activities on the run's record: state changes, failures, people told."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts import FailureInput, NotifyInput, RotationRef, StepInput
from keyturn.resources import Resources
from keyturn.rotation.retirement import reinstate
from keyturn.runs import transitions
from keyturn.runs.audit import anchor
from keyturn.runs.migration_leases import keep_lease
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord

bp = df.Blueprint()


@activity(bp, StepInput)
async def advance(request: StepInput, resources: Resources) -> RotationRef:
    """Change the run's state, once."""
    now = datetime.now(UTC)
    await _follow(await transitions.advance(resources.every_run, request, now), request, resources, now)
    return _ref(request)


@activity(bp, FailureInput)
async def record_failure(request: FailureInput, resources: Resources) -> RotationRef:
    """End the run in ``failed``, with every version enabled again that it disabled."""
    if request.retire_attempted:
        await reinstate(resources.run_store, resources.keyring(request.keyring).versions, request)
    now = datetime.now(UTC)
    await _follow(await transitions.record_failure(resources.every_run, request, now), request, resources, now)
    return _ref(request)


@activity(bp, NotifyInput)
async def notify(request: NotifyInput, resources: Resources) -> RotationRef:
    """Tell people what happened, once; a channel that fails does not fail the run."""
    await resources.desk.tell(request, datetime.now(UTC))
    return _ref(request)


async def _follow(record: RunRecord, request: RotationRef, resources: Resources, now: datetime) -> None:
    """Do what follows from a state change, whatever kind of run it is."""
    if isinstance(record, RotationRecord):
        await anchor(resources.run_store.audit, resources.keyring(request.keyring).versions, record)
    else:
        await keep_lease(resources.every_run.documents, record, now)


def _ref(request: RotationRef) -> RotationRef:
    return RotationRef(rotation_id=request.rotation_id, keyring=request.keyring, fencing_token=request.fencing_token)
