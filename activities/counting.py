"""Activities that count: the census, how far a pass has come, and what it may take of the vault."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn import steps
from keyturn.contracts.passes import (
    BudgetInput,
    BudgetResult,
    CensusInput,
    CensusResult,
    ProgressInput,
    ProgressResult,
)
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, CensusInput)
async def take_census(request: CensusInput, resources: Resources) -> CensusResult:
    """Count every row by version, never older than the session tokens."""
    return await steps.take_census(request, resources)


@activity(bp, BudgetInput)
async def claim_budget(request: BudgetInput, resources: Resources) -> BudgetResult:
    """Claim what the next wave may take of the vault, and look for an abort."""
    return await steps.claim_budget(request, resources, datetime.now(UTC))


@activity(bp, ProgressInput)
async def record_progress(request: ProgressInput, resources: Resources) -> ProgressResult:
    """Write the progress into the record, merge the wave's session tokens, share the budget, and look for an abort."""
    return await steps.record_progress(request, resources, datetime.now(UTC))
