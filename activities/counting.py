"""Activities that count: the census, how far a pass has come, and what it may take of the vault."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.pages import DEKS
from keyturn.contracts.passes import (
    BudgetInput,
    BudgetResult,
    CensusInput,
    CensusResult,
    ProgressInput,
    ProgressResult,
)
from keyturn.cosmos.session_tokens import merge_session_tokens
from keyturn.deks import census
from keyturn.deks.queries import ANY_RUN
from keyturn.documents.store import count
from keyturn.ids import RunKind, kind_of
from keyturn.resources import Resources
from keyturn.rotation.new_version import record_census
from keyturn.runs import budget, progress
from keyturn.runs.migration_leases import keep_lease
from keyturn.runs.record import RunRecord
from keyturn.runs.transitions import check_live

bp = df.Blueprint()


@activity(bp, CensusInput)
async def take_census(request: CensusInput, resources: Resources) -> CensusResult:
    """Count every row by version, never older than the session tokens."""
    rotation = kind_of(request.run.run_id) is RunKind.ROTATION  # it may have adopted the rows of another
    counted = await census.take_census(
        resources.keyring(request.run.keyring).rows,
        request.target_version,
        request.session_tokens,
        request.rewrapped_by or (ANY_RUN if rotation else request.run.run_id),
    )
    await record_census(resources.every_run, request.run, counted)
    return counted


@activity(bp, BudgetInput)
async def claim_budget(request: BudgetInput, resources: Resources) -> BudgetResult:
    """Claim what the next wave may take of the vault, and look for an abort."""
    record = await resources.every_run.read(request.run.run_id)
    check_live(record, request.run)
    rate = await _share(record, resources, request.operations_per_second)
    return BudgetResult(operations_per_second=rate, aborted=record.abort is not None)


@activity(bp, ProgressInput)
async def record_progress(request: ProgressInput, resources: Resources) -> ProgressResult:
    """Write the progress into the record, merge the wave's session tokens, share the budget, and look for an abort."""
    now = datetime.now(UTC)
    begins = request.wave == 1 and request.source != DEKS
    documents = await count(resources.keyring(request.run.keyring).source(request.source)) if begins else None
    record = await progress.record_progress(resources.every_run, request, now, documents)
    rate = 0.0
    if progress.is_newest(record, request):
        await keep_lease(resources.every_run.documents, record, now)
        wanted = 0.0 if request.final else request.operations_per_second
        rate = await _share(record, resources, wanted)
    return ProgressResult(
        session_tokens=merge_session_tokens(*request.session_tokens),
        aborted=record.abort is not None,
        operations_per_second=rate,
    )


async def _share(record: RunRecord, resources: Resources, wanted: float) -> float:
    """Claim so much for the run's next wave and return what it gets; give all back where it needs none any more."""
    if record.abort is not None or not wanted:
        await give_back(record, resources)
        return 0.0
    documents, now = resources.every_run.documents, datetime.now(UTC)
    shares = [
        await budget.claim(documents, vault, record.run_id, record.policy, wanted, now)
        for vault in _vaults(record, resources)
    ]
    return min(shares)


async def give_back(record: RunRecord, resources: Resources) -> None:
    """Give back what the run has claimed of the budget of its vaults."""
    for vault in _vaults(record, resources):
        await budget.give_back(resources.every_run.documents, vault, record.run_id, datetime.now(UTC))


def _vaults(record: RunRecord, resources: Resources) -> set[str]:
    return budget.vaults_of(record, lambda name: resources.keyring(name).keyring.vault_url)
