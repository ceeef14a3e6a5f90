"""Activities on pages of documents: scan, encrypt, re-encrypt, check."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.pages import PageInput, PageResult, ScanInput, ScanResult
from keyturn.documents import operations, store
from keyturn.migrations.documents import open_job
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, ScanInput)
async def scan_documents(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of documents in one feed range of a container."""
    job = await open_job(request, resources)
    row_filter = await job.row_filter(proving=request.selection == "rewrapped")
    return await store.scan_documents(job.documents, request, row_filter)


@activity(bp, PageInput)
async def encrypt_documents(request: PageInput, resources: Resources) -> PageResult:
    """Encrypt the documents of a page."""
    job = await open_job(request, resources)
    return await operations.encrypt_page(request, await job.ids(), job.dependencies())


@activity(bp, PageInput)
async def reencrypt_documents(request: PageInput, resources: Resources) -> PageResult:
    """Re-encrypt the documents of a page."""
    job = await open_job(request, resources)
    return await operations.reencrypt_page(request, await job.ids(), job.dependencies())


@activity(bp, PageInput)
async def check_documents(request: PageInput, resources: Resources) -> PageResult:
    """Decrypt the documents of a page where the migration has put them, or where they are."""
    job = await open_job(request, resources)
    return await operations.check_page(request, job.dependencies(proving=True))
