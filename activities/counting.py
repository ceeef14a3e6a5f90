"""Activities that count: the census, and how far a pass has come."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.pages import DEKS
from keyturn.contracts.passes import CensusInput, CensusResult, ProgressInput, ProgressResult
from keyturn.cosmos.session_tokens import merge_session_tokens
from keyturn.deks import census
from keyturn.deks.queries import ANY_RUN
from keyturn.documents.store import count
from keyturn.ids import RunKind, kind_of
from keyturn.resources import Resources
from keyturn.rotation.new_version import record_census
from keyturn.runs import progress

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


@activity(bp, ProgressInput)
async def record_progress(request: ProgressInput, resources: Resources) -> ProgressResult:
    """Write the progress into the record, merge the wave's session tokens, and look for an abort."""
    begins = request.wave == 1 and request.source != DEKS
    documents = await count(resources.keyring(request.run.keyring).source(request.source)) if begins else None
    record = await progress.record_progress(resources.every_run, request, datetime.now(UTC), documents)
    return ProgressResult(
        session_tokens=merge_session_tokens(*request.session_tokens), aborted=record.abort is not None
    )
