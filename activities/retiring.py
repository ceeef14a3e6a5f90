"""Activities that disable and enable versions."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn import steps
from keyturn.contracts.steps import ReinstateInput, ReinstateResult, RetireInput, RetireResult
from keyturn.resources import Resources
from keyturn.rotation.retirement import retire_approved

bp = df.Blueprint()


@activity(bp, RetireInput)
async def retire_versions(request: RetireInput, resources: Resources) -> RetireResult:
    """Count, and disable the approved versions in the same step only if the count is zero."""
    keyring = resources.keyring(request.run.keyring)
    return await retire_approved(resources.run_store, keyring.rows, keyring.versions, request, datetime.now(UTC))


@activity(bp, ReinstateInput)
async def reinstate_versions(request: ReinstateInput, resources: Resources) -> ReinstateResult:
    """Enable again what a rotation disabled: this one, or the one that this rollback is of."""
    return await steps.reinstate_versions(request, resources, datetime.now(UTC))
