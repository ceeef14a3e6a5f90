"""Activities on pages of rows: list the ranges, scan, rewrap, prove."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts import RangesResult, RotationRef, ScanInput, ScanResult
from keyturn.dek_store.feed import list_feed_ranges
from keyturn.dek_store.scan import scan
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, RotationRef)
async def list_ranges(request: RotationRef, resources: Resources) -> RangesResult:
    """List the dek store's feed ranges."""
    return RangesResult(ranges=await list_feed_ranges(resources.keyring(request.keyring).dek_container))


@activity(bp, ScanInput)
async def scan_page(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of selected rows in one feed range."""
    return await scan(resources.keyring(request.keyring).rows, request)
