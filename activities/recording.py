"""Activities on the run's record: state changes, failures, people told."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.audit.anchors import anchor
from keyturn.contracts import FailureInput, NotifyInput, RotationRef, StepInput
from keyturn.resources import Resources
from keyturn.rotation import transitions
from keyturn.rotation.reinstatement import reinstate

bp = df.Blueprint()


@activity(bp, StepInput)
async def advance(request: StepInput, resources: Resources) -> RotationRef:
    """Change the rotation's state, once."""
    record = await transitions.advance(resources.run_store, request, datetime.now(UTC))
    await anchor(resources.run_store.audit, resources.keyring(request.keyring).versions, record)
    return _ref(request)


@activity(bp, FailureInput)
async def record_failure(request: FailureInput, resources: Resources) -> RotationRef:
    """End the rotation in ``failed``, with every version enabled again that it disabled."""
    if request.retire_attempted:
        await reinstate(resources.run_store, resources.keyring(request.keyring).versions, request)
    record = await transitions.record_failure(resources.run_store, request, datetime.now(UTC))
    await anchor(resources.run_store.audit, resources.keyring(request.keyring).versions, record)
    return _ref(request)


@activity(bp, NotifyInput)
async def notify(request: NotifyInput, resources: Resources) -> RotationRef:
    """Tell people what happened, once; a channel that fails does not fail the rotation."""
    await resources.desk.tell(request, datetime.now(UTC))
    return _ref(request)


def _ref(request: RotationRef) -> RotationRef:
    return RotationRef(rotation_id=request.rotation_id, keyring=request.keyring, fencing_token=request.fencing_token)
