"""Puts a page of documents under fresh DEKs: from a readable key onto the same or another key, vault or dek store.

Per document: read it, decrypt its fields from the source, create the row of a fresh DEK in the target, encrypt, and
replace the document if nobody changed it meanwhile. The row that the document named before is superseded and stays:
nothing here deletes a row, and a snapshot or a reader that still holds the old document needs it. Running a page twice,
or dying anywhere in it, changes nothing: the row of the first try is taken again, and what is done is skipped.
"""

from collections.abc import Sequence
from typing import Any

from field_encrypt.errors import DekNotFoundError
from field_encrypt.mek_errors import ForeignMekError
from keyturn.contracts.pages import PageInput, PageResult
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.fields import encrypted_fields, plaintext_fields
from keyturn.documents.page import DocumentDependencies, DocumentPage
from keyturn.documents.reasons import DocumentReason, RefusedDocumentError


async def reencrypt_page(request: PageInput, ids: DekIds, dependencies: DocumentDependencies) -> PageResult:
    """Re-encrypt the documents that the page names.

    Raises:
        TransientError, RetryError: a service failed; the page may be run again.
        OperatorError: a right is missing, or nothing may be wrapped under the target MEK.
    """
    page = DocumentPage(request, dependencies)

    async def reencrypt(document: dict[str, Any]) -> dict[str, Any] | None:
        if plaintext_fields(document, page.description.fields):
            raise RefusedDocumentError(DocumentReason.NOT_ENCRYPTED)
        dek_id = page.documents.dek_id(ids, document)
        found = encrypted_fields(document, but_under=dek_id)
        if not found:
            return None
        return await _reencrypted(document, found, dek_id, page)

    return await page.run(lambda ref: page.change(ref, reencrypt))


async def _reencrypted(
    document: dict[str, Any], found: Sequence[str], dek_id: str, page: DocumentPage
) -> dict[str, Any] | None:
    name = page.description.name
    try:
        return await page.target.reencrypt_fields(
            name, document["id"], document, found, source=page.source, dek_id=dek_id
        )
    except (DekNotFoundError, ForeignMekError):
        # A writer that has moved to the target already wrote it: its DEK is fresh, and none of the source's.
        if page.one_key or not await _opens_in_target(document, found, page):
            raise
        return None


async def _opens_in_target(document: dict[str, Any], found: Sequence[str], page: DocumentPage) -> bool:
    try:
        await page.target.decrypt_fields(page.description.name, document["id"], document, found)
    except (DekNotFoundError, ForeignMekError):
        return False
    return True
