"""Activities on pages of rows: list the ranges, scan, rewrap, prove."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn import steps
from keyturn.contracts.pages import PageInput, PageResult, RangesInput, RangesResult, ScanInput, ScanResult
from keyturn.deks import proof
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, RangesInput)
async def list_ranges(request: RangesInput, resources: Resources) -> RangesResult:
    """List the feed ranges of what the pass goes over."""
    return await steps.list_ranges(request, resources)


@activity(bp, ScanInput)
async def scan_page(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of selected rows in one feed range."""
    return await steps.scan_page(request, resources)


@activity(bp, PageInput)
async def rewrap_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap the rows of a page."""
    return await steps.rewrap_page(request, resources)


@activity(bp, PageInput)
async def prove_page(request: PageInput, resources: Resources) -> PageResult:
    """Prove the rows of a page."""
    return await proof.prove_page(request, steps.dependencies(request, resources))


@activity(bp, PageInput)
async def rewrap_chosen_page(request: PageInput, resources: Resources) -> PageResult:
    """Rewrap those rows of a page that the migration is about."""
    return await steps.rewrap_chosen_page(request, resources)


@activity(bp, PageInput)
async def roll_back_page(request: PageInput, resources: Resources) -> PageResult:
    """Roll back those rows of a page that are as the migration's rotation left them."""
    return await steps.roll_back_page(request, resources)
