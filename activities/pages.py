"""Activities on pages of rows: list the ranges, scan, rewrap, prove."""

from collections.abc import Sequence

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts import PageInput, PageResult, QuarantinedRow, RangesResult, RotationRef, ScanInput, ScanResult
from keyturn.dek_store.feed import list_feed_ranges
from keyturn.dek_store.scan import scan
from keyturn.resources import Resources
from keyturn.rotation import proof, rewrap
from keyturn.rotation.page_work import PageDependencies
from keyturn.rotation.quarantine import record_quarantined

bp = df.Blueprint()


@activity(bp, RotationRef)
async def list_ranges(request: RotationRef, resources: Resources) -> RangesResult:
    """List the dek store's feed ranges."""
    return RangesResult(ranges=await list_feed_ranges(resources.keyring(request.keyring).dek_container))


@activity(bp, ScanInput)
async def scan_page(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of selected rows in one feed range."""
    return await scan(resources.keyring(request.keyring).rows, request)


@activity(bp, PageInput)
async def rewrap_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap the rows of a page."""
    return await rewrap.rewrap_page(request, _dependencies(request, resources))


@activity(bp, PageInput)
async def prove_page(request: PageInput, resources: Resources) -> PageResult:
    """Prove the rows of a page."""
    return await proof.prove_page(request, _dependencies(request, resources))


def _dependencies(request: PageInput, resources: Resources) -> PageDependencies:
    keyring = resources.keyring(request.keyring)

    async def quarantine(rows: Sequence[QuarantinedRow]) -> None:
        await record_quarantined(resources.run_store, request, rows)

    return PageDependencies(store=keyring.rows, mek=keyring.mek, quarantine=quarantine)
