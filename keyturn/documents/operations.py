"""What is done to each document of a page: encrypt its plaintext fields, re-encrypt them under a fresh DEK, or decrypt.

The row of a DEK is created first, under an id that every run of the page finds again; then the document is replaced if
it is unchanged. Running a page twice, or dying in it, changes nothing. A superseded row stays: nothing deletes a row,
and a snapshot or a reader that still holds the old document needs it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from field_encrypt import paths
from field_encrypt.errors import DekNotFoundError
from field_encrypt.mek_errors import ForeignMekError
from keyturn.contracts.pages import PageInput, PageResult
from keyturn.deks.store import Outcome
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.errors import DocumentReason, RefusedDocumentError
from keyturn.documents.page import DocumentDependencies, DocumentPage
from keyturn.documents.queries import in_other_partitions, named_deks
from keyturn.documents.store import binding_of, encrypted_fields, plaintext_fields

ITEM_BYTES_MAX = 2 * 1024 * 1024  # Cosmos DB, service limits
# What the stored form of a field adds to its ciphertext, some 330 bytes: names, ids, nonce, salt, commitment and tag.
FIELD_BYTES = 350


async def encrypt_page(request: PageInput, ids: DekIds, dependencies: DocumentDependencies) -> PageResult:
    """Encrypt what is plaintext in the documents that the page names, with DEKs of the target.

    Raises:
        TransientError, RetryError: a service failed; the page may be run again.
        OperatorError: a right is missing, or nothing may be wrapped under the target MEK.
    """
    page = DocumentPage(request, dependencies)
    new = page.new_deks(ids)

    async def encrypt(document: dict[str, Any]) -> dict[str, Any] | None:
        found = plaintext_fields(document, page.description.fields)
        if not found:
            return None
        _require_room(document, found)
        return await page.target.encrypt_fields(
            page.description.name,
            document["id"],
            document,
            found,
            deterministic=page.description.deterministic,
            previous=document,
            dek_id=new.id_for(document),
            **binding_of(page.description, document),
        )

    return await page.run(lambda ref: page.change(ref, encrypt))


def _require_room(document: Mapping[str, Any], found: Sequence[str]) -> None:
    """Refuse a document that would become too large, before a row is made that it could never name."""
    grown = sum(_size(paths.get(document, path)) // 3 + FIELD_BYTES for path in found)
    if _size(document) + grown > ITEM_BYTES_MAX:
        raise RefusedDocumentError(DocumentReason.TOO_LARGE)


def _size(value: object) -> int:
    # As the SDK sends it; base64 of this length is an upper bound, since canonical JSON is never longer.
    return len(json.dumps(value))


async def reencrypt_page(request: PageInput, ids: DekIds, dependencies: DocumentDependencies) -> PageResult:
    """Re-encrypt the documents that the page names; raises as :func:`encrypt_page` does."""
    page = DocumentPage(request, dependencies)
    new = page.new_deks(ids)

    async def reencrypt(document: dict[str, Any]) -> dict[str, Any] | None:
        if plaintext_fields(document, page.description.fields):
            raise RefusedDocumentError(DocumentReason.NOT_ENCRYPTED)
        found = new.misplaced(document)
        # Bound to its partition, a copy that format 1 let open there would open for ever.
        if await _is_copied(document, found, page):
            raise RefusedDocumentError(DocumentReason.COPIED)
        changed = await _reencrypted(document, found, new.id_for(document), page) if found else document
        return None if changed == document else changed  # a deterministic field that has moved already stays as it is

    return await page.run(lambda ref: page.change(ref, reencrypt))


async def _is_copied(document: dict[str, Any], found: Sequence[str], page: DocumentPage) -> bool:
    """Tell whether a document of this id in another partition names the DEK of one of its fields in format 1."""
    deks = {str(field["dekId"]) for field in (paths.get(document, path) for path in found) if field["enc"] == 1}
    others = await in_other_partitions(page.documents.container, page.description, document) if deks else []
    return any(named_deks(other) & deks for other in others)


async def _reencrypted(
    document: dict[str, Any], found: Sequence[str], dek_id: str | None, page: DocumentPage
) -> dict[str, Any]:
    name, bound = page.description.name, binding_of(page.description, document)
    try:
        return await page.target.reencrypt_fields(
            name, document["id"], document, found, source=page.source, dek_id=dek_id, **bound
        )
    except (DekNotFoundError, ForeignMekError):
        # A writer that has moved to the target already wrote it: its DEK is fresh, and none of the source's.
        if page.one_key or not await _opens_in_target(document, found, page):
            raise
        return document


async def _opens_in_target(document: dict[str, Any], found: Sequence[str], page: DocumentPage) -> bool:
    try:
        bound = binding_of(page.description, document)
        await page.target.decrypt_fields(page.description.name, document["id"], document, found, **bound)
    except (DekNotFoundError, ForeignMekError):
        return False
    return True


async def check_page(request: PageInput, dependencies: DocumentDependencies) -> PageResult:
    """Decrypt every field of the documents that the page names, as a reader with an empty cache would.

    ``changed`` counts the documents that decrypt, ``unchanged`` those without anything to decrypt. Raises as
    :func:`encrypt_page` does, but for what is about wrapping.
    """
    page = DocumentPage(request, dependencies)

    async def check(document: dict[str, Any]) -> Outcome:
        if plaintext_fields(document, page.description.fields):
            raise RefusedDocumentError(DocumentReason.NOT_ENCRYPTED)
        found = encrypted_fields(document)
        bound = binding_of(page.description, document)
        await page.source.decrypt_fields(page.description.name, document["id"], document, found, **bound)
        return Outcome.CHANGED if found else Outcome.UNCHANGED

    return await page.run(lambda ref: page.handle(ref, check))
