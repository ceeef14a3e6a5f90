"""Activities on the run's record: state changes, failures, notifications."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn import steps
from keyturn.contracts.base import RunRef, StepInput
from keyturn.contracts.states import State
from keyturn.contracts.steps import FailureInput, NotifyInput
from keyturn.resources import Resources
from keyturn.rotation.retirement import reinstated
from keyturn.runs import transitions
from keyturn.runs.records import RotationRecord

bp = df.Blueprint()


@activity(bp, StepInput)
async def advance(request: StepInput, resources: Resources) -> RunRef:
    """Change the run's state, once."""
    await steps.advance(request, resources, datetime.now(UTC))
    return request.run


@activity(bp, FailureInput)
async def record_failure(request: FailureInput, resources: Resources) -> RunRef:
    """End the run in ``failed``, with every version enabled again that it disabled."""
    now = datetime.now(UTC)
    record = await transitions.record_failure(resources.every_run, request, now)
    # Of release 0.1, whose workflow does not reinstate before it fails.
    if request.retire_attempted and isinstance(record, RotationRecord) and record.state is State.FAILED:
        await reinstated(resources.run_store, resources.keyring(request.run.keyring).versions, record)
    await steps.follow(record, resources, now)
    return request.run


@activity(bp, NotifyInput)
async def notify(request: NotifyInput, resources: Resources) -> RunRef:
    """Send the event's notification, once; a channel that fails does not fail the run."""
    await resources.notifier.tell(request, datetime.now(UTC))
    return request.run
