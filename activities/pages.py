"""Activities on pages of rows: list the ranges, scan, rewrap, prove."""

from collections.abc import Sequence
from dataclasses import replace

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import (
    PageInput,
    PageResult,
    QuarantinedRow,
    RangesInput,
    RangesResult,
    ScanInput,
    ScanResult,
)
from keyturn.cosmos.client import list_feed_ranges
from keyturn.deks import proof, rewrap, rollback
from keyturn.deks.page import PageDependencies
from keyturn.deks.rollback import Origins
from keyturn.deks.scan import RowFilter, row_filter_of, scan
from keyturn.resources import Resources
from keyturn.runs.lease import Hold
from keyturn.runs.progress import record_quarantined
from keyturn.runs.transitions import check_live

bp = df.Blueprint()


@activity(bp, RangesInput)
async def list_ranges(request: RangesInput, resources: Resources) -> RangesResult:
    """List the feed ranges of what the pass goes over."""
    return RangesResult(ranges=await list_feed_ranges(resources.keyring(request.run.keyring).source(request.source)))


@activity(bp, ScanInput)
async def scan_page(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of selected rows in one feed range."""
    chosen = await _chosen(request.run, resources) if request.selection == "chosen" else None
    return await scan(resources.keyring(request.run.keyring).rows, request, chosen)


@activity(bp, PageInput)
async def rewrap_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap the rows of a page."""
    return await rewrap.rewrap_page(request, _dependencies(request, resources))


@activity(bp, PageInput)
async def prove_page(request: PageInput, resources: Resources) -> PageResult:
    """Prove the rows of a page."""
    return await proof.prove_page(request, _dependencies(request, resources))


@activity(bp, PageInput)
async def rewrap_chosen_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap those rows of a page that the migration is about."""
    chosen = await _chosen(request.run, resources)
    return await rewrap.rewrap_page(request, replace(_dependencies(request, resources), chosen=chosen))


@activity(bp, PageInput)
async def roll_back_page(request: PageInput, resources: Resources) -> PageResult:
    """Roll back those rows of a page that are as the migration's rotation left them."""
    record = await resources.migrations.read(request.run.run_id)
    rotation = await resources.run_store.read(record.rollback.rotation.run_id)
    states = await resources.keyring(request.run.keyring).versions.states()
    origins = Origins(rotation.run_id, rotation.old_versions, states)
    dependencies = replace(_dependencies(request, resources), chosen=await _chosen(request.run, resources))
    return await rollback.roll_back_page(request, dependencies, origins)


async def _chosen(request: RunRef, resources: Resources) -> RowFilter:
    record = await resources.migrations.read(request.run_id)
    check_live(record, request)
    return row_filter_of(record.work, record.versions)


def _dependencies(request: PageInput, resources: Resources) -> PageDependencies:
    keyring = resources.keyring(request.run.keyring)

    async def quarantine(rows: Sequence[QuarantinedRow]) -> None:
        await record_quarantined(resources.every_run, request.run, rows, request.pass_started_at)

    hold = Hold(resources.every_run.documents, request.run).check
    return PageDependencies(store=keyring.rows, mek=keyring.mek, quarantine=quarantine, hold=hold)
