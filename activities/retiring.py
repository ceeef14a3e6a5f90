"""Activities that disable and enable versions."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.steps import ReinstateInput, ReinstateResult, RetireInput, RetireResult
from keyturn.resources import Resources
from keyturn.rotation.retirement import reinstate, retire_approved
from keyturn.runs.audit import audit_record

bp = df.Blueprint()


@activity(bp, RetireInput)
async def retire_versions(request: RetireInput, resources: Resources) -> RetireResult:
    """Count, and disable the approved versions in the same step only if the count is zero."""
    keyring = resources.keyring(request.run.keyring)
    return await retire_approved(resources.run_store, keyring.rows, keyring.versions, request, datetime.now(UTC))


@activity(bp, ReinstateInput)
async def reinstate_versions(request: ReinstateInput, resources: Resources) -> ReinstateResult:
    """Enable again what this rotation disabled."""
    runs = resources.run_store
    reinstated = await reinstate(runs, resources.keyring(request.run.keyring).versions, request.run)
    # A rollback comes after the rotation's end: no state change of its own will follow.
    await audit_record(runs.audit, await runs.read(request.run.run_id), datetime.now(UTC))
    return ReinstateResult(reinstated=reinstated)
