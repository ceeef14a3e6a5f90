"""What a step of a run does, for the app's activities and for ``keyturn direct``, which has no app.

Each takes the input that durable history holds, and the clients of the process. Each may run twice, late, or die
anywhere; what is written follows the lease, the fence and the record, whichever process takes the step.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from keyturn.clock import Clock
from keyturn.contracts.base import RunInput, RunRef, StepInput
from keyturn.contracts.migrations import ChangedSince, Rollback
from keyturn.contracts.pages import (
    DEKS,
    PageInput,
    PageResult,
    QuarantinedRow,
    RangesInput,
    RangesResult,
    ScanInput,
    ScanResult,
)
from keyturn.contracts.passes import (
    BudgetInput,
    BudgetResult,
    CensusInput,
    CensusResult,
    ProgressInput,
    ProgressResult,
)
from keyturn.contracts.states import State
from keyturn.contracts.steps import CreateVersionInput, ReinstateInput, ReinstateResult, VersionResult
from keyturn.cosmos.client import list_feed_ranges
from keyturn.cosmos.session_tokens import merge_session_tokens
from keyturn.deks import census, rewrap, rollback, scan
from keyturn.deks.page import PageDependencies
from keyturn.deks.queries import ANY_RUN
from keyturn.documents.store import count
from keyturn.ids import RunKind, kind_of
from keyturn.key_vault import creation
from keyturn.migrations.requests import changed_since
from keyturn.resources import Resources
from keyturn.rotation import new_version, retirement, unexplained
from keyturn.runs import budget, progress, transitions
from keyturn.runs.audit import anchor
from keyturn.runs.lease import Hold
from keyturn.runs.migration_leases import keep_lease
from keyturn.runs.record import RunRecord
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import PAGE_MAX


async def list_ranges(request: RangesInput, resources: Resources) -> RangesResult:
    """List the feed ranges of what the pass goes over."""
    return RangesResult(ranges=await list_feed_ranges(resources.keyring(request.run.keyring).source(request.source)))


async def scan_page(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of selected rows in one feed range."""
    chosen = await _chosen(request.run, resources) if request.selection == "chosen" else None
    return await scan.scan(resources.keyring(request.run.keyring).rows, request, chosen)


async def rewrap_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap the rows of a page."""
    return await rewrap.rewrap_page(request, dependencies(request, resources))


async def rewrap_chosen_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap those rows of a page that the migration is about."""
    chosen = await _chosen(request.run, resources)
    return await rewrap.rewrap_page(request, replace(dependencies(request, resources), chosen=chosen))


async def roll_back_page(request: PageInput, resources: Resources) -> PageResult:
    """Roll back those rows of a page that are as the migration's rotation left them."""
    work = (await resources.migrations.read(request.run.run_id)).rollback
    states = await resources.keyring(request.run.keyring).versions.states()
    origins = rollback.Origins(work.rotation.run_id, await _replaced(work, resources), states)
    chosen = replace(dependencies(request, resources), chosen=await _chosen(request.run, resources))
    return await rollback.roll_back_page(request, chosen, origins)


async def _replaced(work: Rollback, resources: Resources) -> list[str]:
    """Return the versions that the rotations which are rolled back have replaced."""
    runs = [await resources.run_store.read(run_id) for run_id in work.run_ids]
    return [version for run in runs for version in run.old_versions]


async def _chosen(request: RunRef, resources: Resources) -> scan.RowFilter:
    record = await resources.migrations.read(request.run_id)
    transitions.check_live(record, request)
    return scan.row_filter_of(record.work, record.versions)


def dependencies(request: PageInput, resources: Resources) -> PageDependencies:
    """Return what a page of rows works with: its keyring, the run's hold on it, and where quarantined rows go."""
    keyring = resources.keyring(request.run.keyring)

    async def quarantine(rows: Sequence[QuarantinedRow]) -> None:
        await progress.record_quarantined(resources.every_run, request.run, rows, request.pass_started_at)

    hold = Hold(resources.every_run.documents, request.run).check
    return PageDependencies(keyring.rows, keyring.mek, quarantine, hold, resources.clock)


async def take_census(request: CensusInput, resources: Resources) -> CensusResult:
    """Count every row by version, never older than the session tokens."""
    run_id = request.run.run_id
    whose = [ANY_RUN if kind_of(run_id) is RunKind.ROTATION else run_id]  # it may have adopted the rows of another
    if request.rewrapped_by is not None:
        whose = (await resources.migrations.read(run_id)).rollback.run_ids
    rows = resources.keyring(request.run.keyring).rows
    counted = await census.take_census(rows, request.target_version, request.session_tokens, *whose)
    await new_version.record_census(resources.every_run, request.run, counted)
    return counted


async def claim_budget(request: BudgetInput, resources: Resources, now: datetime) -> BudgetResult:
    """Claim what the next wave may take of the vault, and look for an abort."""
    record = await resources.every_run.read(request.run.run_id)
    transitions.check_live(record, request.run)
    rate = await _share(record, resources, request.operations_per_second, now)
    return BudgetResult(operations_per_second=rate, aborted=record.abort is not None)


async def record_progress(request: ProgressInput, resources: Resources, now: datetime) -> ProgressResult:
    """Write the progress into the record, merge the wave's session tokens, share the budget, and look for an abort."""
    begins = request.wave == 1 and request.source != DEKS
    documents = await count(resources.keyring(request.run.keyring).source(request.source)) if begins else None
    record = await progress.record_progress(resources.every_run, request, now, documents)
    rate = 0.0
    if progress.is_newest(record, request):
        await keep_lease(resources.every_run.documents, record, now)
        wanted = 0.0 if request.final else request.operations_per_second
        rate = await _share(record, resources, wanted, now)
    return ProgressResult(
        session_tokens=merge_session_tokens(*request.session_tokens),
        aborted=record.abort is not None,
        operations_per_second=rate,
    )


async def _share(record: RunRecord, resources: Resources, wanted: float, now: datetime) -> float:
    """Claim so much for the run's next wave and return what it gets; give all back where it needs none any more."""
    if record.abort is not None or not wanted:
        await give_back(record, resources, now)
        return 0.0
    documents = resources.every_run.documents
    shares = [
        await budget.claim(documents, vault, record.run_id, record.policy, wanted, now)
        for vault in _vaults(record, resources)
    ]
    return min(shares)


async def give_back(record: RunRecord, resources: Resources, now: datetime) -> None:
    """Give back what the run has claimed of the budget of its vaults."""
    for vault in _vaults(record, resources):
        await budget.give_back(resources.every_run.documents, vault, record.run_id, now)


def _vaults(record: RunRecord, resources: Resources) -> set[str]:
    return budget.vaults_of(record, lambda name: resources.keyring(name).keyring.vault_url)


async def advance(request: StepInput, resources: Resources, now: datetime) -> RunRecord:
    """Change the run's state, once, and return its record."""
    record = await transitions.record_step(resources.every_run, request, now)
    await follow(record, resources, now)
    return record


async def follow(record: RunRecord, resources: Resources, now: datetime) -> None:
    """Do what follows from a state change: give the budget back, anchor the audit chain, keep a migration's lease."""
    if record.ended or record.state is State.NEEDS_ATTENTION:  # its pass may have failed before its last wave
        await give_back(record, resources, now)
    await anchor(resources.run_store.audit, resources.keyring(record.keyring).versions, record)
    if not isinstance(record, RotationRecord):
        await keep_lease(resources.every_run.documents, record, now)


async def count_changed_since(request: RunInput, resources: Resources) -> ChangedSince:
    """Count the rows that later runs than the rotation to roll back have changed."""
    work = (await resources.migrations.read(request.run.run_id)).rollback
    rows, replaced = resources.keyring(request.run.keyring).rows, await _replaced(work, resources)
    return ChangedSince(rows=await changed_since(rows, work, replaced))


async def reinstate_versions(request: ReinstateInput, resources: Resources, now: datetime) -> ReinstateResult:
    """Enable again what a rotation disabled: this one, or the one that this rollback is of."""
    versions = resources.keyring(request.run.keyring).versions
    return ReinstateResult(reinstated=await retirement.reinstate(resources.run_store, versions, request, now))


async def create_version(request: CreateVersionInput, resources: Resources, now: datetime) -> VersionResult:
    """Create the version, find the one that an earlier run of this step created, or adopt one that is unfinished.

    It is backed up before it is enabled. One that is there already, too: an earlier attempt may have died before.

    Where the rotation has its version, it is only looked whether a creation that was given up has taken effect since.
    """
    runs, keyring, run_id = resources.run_store, resources.keyring(request.run.keyring), request.run.run_id
    record = await runs.read(run_id)
    known, policy = record.target_version, record.policy
    # The input comes by way of the task hub, which others may write to: what was decided on is the record's policy.
    settled = {"key_size": policy.key_size, "creation_settle": policy.creation_settle}
    request = request.model_copy(update=settled)
    earlier = new_version.unfinished(
        await runs.newest(request.run.keyring, before=run_id, limit=PAGE_MAX),
        await resources.migrations.newest(request.run.keyring, limit=PAGE_MAX),
        now,
    )
    if known is None:
        intent = new_version.RecordedIntent(runs, request.run)
        # By its version too: the rotation that made it may be further back than is looked, and this one has adopted it.
        adoptable = {name for found in earlier for name in (found.run_id, found.target_version) if name}
        version = await creation.create_version(keyring.versions, request, intent, Clock(), adoptable)
    else:
        version = await creation.own_version(keyring.versions, run_id) or known
    await new_version.put_into_use(runs, keyring, record, version, now)
    if version != known:
        await creation.prove(keyring.versions, version, Clock())
        states = await keyring.versions.states()
        maker = next((found for found in earlier if found.target_version == version), None)
        await new_version.record_new_version(
            runs,
            request.run,
            version,
            [name for name, state in states.items() if state.enabled and name != version],
            await census.take_census(keyring.rows, version, {}),
            await unexplained.look_back(runs, resources.migrations, keyring.rows, run_id) if known is None else None,
            replacing=known,
            adopted=[maker.run_id, *maker.adopted] if maker is not None else [],
        )
    return VersionResult(version=version)
