"""Activity that checks whether a rotation may begin."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts import PreflightResult, RotationRef
from keyturn.preflight.run import record_preflight, run_preflight
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, RotationRef)
async def preflight(request: RotationRef, resources: Resources) -> PreflightResult:
    """Go through the whole checklist and write it, with the plan, into the record."""
    runs = resources.run_store
    checked = await run_preflight(
        await runs.read(request.rotation_id),
        resources.keyring(request.keyring),
        settings=resources.settings,
        documents=runs.documents,
        account=resources.account,
        on_call=None,
        now=datetime.now(UTC),
    )
    return await record_preflight(runs, request, checked)
