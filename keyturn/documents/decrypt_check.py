"""Decrypts a page of documents and changes nothing: what does not decrypt is named with its reason."""

from typing import Any

from keyturn.contracts.pages import PageInput, PageResult
from keyturn.documents.fields import encrypted_fields, plaintext_fields
from keyturn.documents.page import DocumentDependencies, DocumentPage, Outcome
from keyturn.documents.reasons import DocumentReason, RefusedDocumentError


async def check_page(request: PageInput, dependencies: DocumentDependencies) -> PageResult:
    """Decrypt every field of the documents that the page names, as a reader without a cache would.

    ``changed`` counts the documents that decrypt, ``unchanged`` those without anything to decrypt.

    Raises:
        TransientError, RetryError: a service failed; the page may be run again.
        OperatorError: a right is missing.
    """
    page = DocumentPage(request, dependencies)

    async def check(document: dict[str, Any]) -> Outcome:
        if plaintext_fields(document, page.description.fields):
            raise RefusedDocumentError(DocumentReason.NOT_ENCRYPTED)
        found = encrypted_fields(document)
        await page.source.decrypt_fields(page.description.name, document["id"], document, found)
        return Outcome.CHANGED if found else Outcome.UNCHANGED

    return await page.run(lambda ref: page.handle(ref, check))
