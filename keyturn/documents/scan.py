"""Which documents of a container a migration has to look at."""

from collections.abc import Callable, Mapping
from typing import Any

from field_encrypt.errors import InvalidFieldPathError
from keyturn.contracts.pages import ScanInput, ScanResult
from keyturn.dek_store.scan import Seen, scan_feed
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.fields import encrypted_fields, plaintext_fields
from keyturn.documents.store import DocumentStore

Choice = Callable[[Mapping[str, Any]], bool]


async def scan_documents(documents: DocumentStore, request: ScanInput, chosen: Choice) -> ScanResult:
    """Find the next page of chosen documents in one feed range.

    Raises:
        KeyturnError: of the kind that the failure means.
    """

    def examine(document: Mapping[str, Any]) -> Seen:
        try:
            wanted = chosen(document)
        except InvalidFieldPathError:
            wanted = True  # the page names it with its reason
        return Seen(documents.ref(document) if wanted else None)

    return await scan_feed(documents.container, request, examine)


def with_plaintext(documents: DocumentStore) -> Choice:
    """Choose documents in which a field is plaintext that the settings name."""
    return lambda document: bool(plaintext_fields(document, documents.description.fields))


def with_fields(documents: DocumentStore) -> Choice:
    """Choose documents in which there is anything to decrypt, or that ought to be encrypted."""
    plaintext = with_plaintext(documents)
    return lambda document: bool(encrypted_fields(document)) or plaintext(document)


def under_other_deks(documents: DocumentStore, ids: DekIds) -> Choice:
    """Choose documents that are not under the DEK which the migration of these ids makes for them."""
    plaintext = with_plaintext(documents)

    def chosen(document: Mapping[str, Any]) -> bool:
        dek_id = documents.dek_id(ids, document)
        return bool(encrypted_fields(document, but_under=dek_id)) or plaintext(document)

    return chosen
