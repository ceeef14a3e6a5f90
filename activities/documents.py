"""Activities on pages of documents: scan, encrypt, re-encrypt, check."""

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.pages import PageInput, PageResult, ScanInput, ScanResult
from keyturn.migrations import documents as work
from keyturn.resources import Resources

bp = df.Blueprint()


@activity(bp, ScanInput)
async def scan_documents(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of documents in one feed range of a container."""
    return await work.scan(request, resources)


@activity(bp, PageInput)
async def encrypt_documents(request: PageInput, resources: Resources) -> PageResult:
    """Encrypt the documents of a page."""
    return await work.encrypt(request, resources)


@activity(bp, PageInput)
async def reencrypt_documents(request: PageInput, resources: Resources) -> PageResult:
    """Re-encrypt the documents of a page."""
    return await work.reencrypt(request, resources)


@activity(bp, PageInput)
async def check_documents(request: PageInput, resources: Resources) -> PageResult:
    """Decrypt the documents of a page."""
    return await work.check(request, resources)
