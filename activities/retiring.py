"""Activities that disable and enable versions."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts import ReinstateInput, ReinstateResult, RetireInput, RetireResult
from keyturn.resources import Resources
from keyturn.rotation.approved_retirement import retire_approved
from keyturn.rotation.reinstatement import reinstate

bp = df.Blueprint()


@activity(bp, RetireInput)
async def retire_versions(request: RetireInput, resources: Resources) -> RetireResult:
    """Count, and disable the approved versions in the same step only if the count is zero."""
    keyring = resources.keyring(request.keyring)
    return await retire_approved(resources.run_store, keyring.rows, keyring.versions, request, datetime.now(UTC))


@activity(bp, ReinstateInput)
async def reinstate_versions(request: ReinstateInput, resources: Resources) -> ReinstateResult:
    """Enable again what this rotation disabled."""
    versions = resources.keyring(request.keyring).versions
    return ReinstateResult(reinstated=await reinstate(resources.run_store, versions, request))
