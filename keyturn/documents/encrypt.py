"""Encrypts the plaintext fields of a page of documents: the initial backfill.

Per document: read it, find the fields that the settings name and that are not encrypted, create the row of a DEK of its
own, encrypt, and replace the document if nobody changed it meanwhile. What is encrypted already keeps its DEK. Running
a page twice, or dying anywhere in it, changes nothing: the row of the first try is taken again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from field_encrypt import paths
from keyturn.contracts.pages import PageInput, PageResult
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.fields import plaintext_fields
from keyturn.documents.page import DocumentDependencies, DocumentPage
from keyturn.documents.reasons import DocumentReason, RefusedDocumentError

ITEM_BYTES_MAX = 2 * 1024 * 1024  # Cosmos DB, service limits
# What the stored form of a field adds to its ciphertext: names, ids, nonce and tag are some 250 bytes.
FIELD_BYTES = 300


async def encrypt_page(request: PageInput, ids: DekIds, dependencies: DocumentDependencies) -> PageResult:
    """Encrypt what is plaintext in the documents that the page names, with DEKs of the target.

    Raises:
        TransientError, RetryError: a service failed; the page may be run again.
        OperatorError: a right is missing, or nothing may be wrapped under the target MEK.
    """
    page = DocumentPage(request, dependencies)

    async def encrypt(document: dict[str, Any]) -> dict[str, Any] | None:
        found = plaintext_fields(document, page.description.fields)
        if not found:
            return None
        _require_room(document, found)
        dek_id = page.documents.dek_id(ids, document)
        return await page.target.encrypt_fields(page.description.name, document["id"], document, found, dek_id=dek_id)

    return await page.run(lambda ref: page.change(ref, encrypt))


def _require_room(document: Mapping[str, Any], found: Sequence[str]) -> None:
    """Refuse a document that would become too large, before a row is made that it could never name."""
    grown = sum(_size(paths.get(document, path)) // 3 + FIELD_BYTES for path in found)
    if _size(document) + grown > ITEM_BYTES_MAX:
        raise RefusedDocumentError(DocumentReason.TOO_LARGE)


def _size(value: object) -> int:
    # As the SDK sends it; base64 of this length is an upper bound, since canonical JSON is never longer.
    return len(json.dumps(value))
