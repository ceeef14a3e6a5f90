"""Documents of one container: read and replaced one by one, which fields an operation is about, and which documents.

A document only ever changes by one conditional replace (If-Match) of the whole, so a reader sees all fields under the
old DEK or all under the new one. A replace never creates: a document that was deleted stays deleted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypedDict

from azure.core import MatchConditions
from azure.cosmos import CosmosDict
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt import KeyPolicy, paths
from field_encrypt.envelope import is_encrypted
from field_encrypt.errors import InvalidFieldPathError, InvalidPlaceError
from field_encrypt.fields import DETERMINISTIC_ALGORITHM
from field_encrypt.places import DocumentPlace, StatedPartitionKey, stated_partition_key
from field_encrypt.row_states import scalar
from keyturn.contracts.pages import RowRef, ScanInput, ScanResult
from keyturn.deks.queries import COUNT, EVERY, select_rows
from keyturn.deks.scan import Seen, scan_feed
from keyturn.deks.store import WriteResult, conditional_write, read_item
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.errors import DocumentReason, RefusedDocumentError
from keyturn.settings import DocumentContainer


def plaintext_fields(document: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """Return the paths of what the settings name, is there, and does not claim to be encrypted.

    Raises InvalidFieldPathError where the settings name a field and something inside it.
    """
    return [path for path in paths.present(document, fields) if not is_encrypted(paths.get(document, path))]


def encrypted_fields(document: Mapping[str, Any]) -> list[str]:
    """Return the paths of everything that claims to be encrypted."""
    return paths.find(document, is_encrypted)


class Binding(TypedDict):
    """What a document's fields are bound to beside container, id and path, as ``field_encrypt`` takes it."""

    partition_key: StatedPartitionKey
    context: Mapping[str, object]


def binding_of(description: DocumentContainer, document: Mapping[str, Any]) -> Binding:
    """Return what the container's writers bind the document's fields to."""
    keys = [f"/{description.partition_key}"] if description.binds_partition_key else None
    return {"partition_key": stated_partition_key(document, keys), "context": description.context}


class DocumentStore:
    """The documents of one container, as a keyring's settings describe it."""

    def __init__(self, container: ContainerProxy, description: DocumentContainer) -> None:
        self.container = container
        self.description = description
        self._resource = f"container {description.name}"

    async def read(self, ref: RowRef) -> dict[str, Any] | None:
        """Return the document as it is now, or None if it is gone."""
        return await read_item(self.container, ref, self._resource)

    async def replace(self, document: dict[str, Any]) -> WriteResult:
        """Replace the document if its ``_etag`` is still this one's; raises RefusedDocumentError if it is too large."""
        return await conditional_write(self._resource, self.partition_key(document), self._replace(document))

    async def _replace(self, document: dict[str, Any]) -> CosmosDict:
        try:
            return await self.container.replace_item(
                document["id"],
                document,
                etag=document["_etag"],
                match_condition=MatchConditions.IfNotModified,
            )
        except CosmosHttpResponseError as error:
            if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise RefusedDocumentError(DocumentReason.TOO_LARGE) from error
            raise

    def ref(self, document: Mapping[str, Any]) -> RowRef:
        """Return what is needed to read the document again."""
        return RowRef(id=str(document["id"]), partition=scalar(document.get(self.description.partition_key)))

    def partition_key(self, document: Mapping[str, Any]) -> Any:
        """Return the value by which the service keeps the document."""
        name = self.description.partition_key
        return scalar(document[name]) if name in document else NonePartitionKeyValue

    def dek_id(self, ids: DekIds, document: Mapping[str, Any]) -> str:
        """Return the id of the DEK that the migration of these ids makes for the document."""
        name = self.description.partition_key
        return ids.of(self.description.name, [document[name]] if name in document else [], str(document["id"]))


async def count(container: ContainerProxy) -> int:
    """Return how many documents the container holds; raises KeyturnError of the kind that the failure means."""
    return sum(await select_rows(container, EVERY, COUNT, resource=f"container {container.id}"))


@dataclass(frozen=True, slots=True)
class NewDeks:
    """Which DEK each document of a migration is to be under: a fresh one of its own, or one that fits a key policy."""

    documents: DocumentStore
    ids: DekIds
    policy: KeyPolicy | None
    one_key: bool = True  # documents stay under the MEK and in the dek store that they are in
    dry_run: bool = False

    def id_for(self, document: Mapping[str, Any]) -> str | None:
        """Return the dekId for the document; None where documents share DEKs: ``field_encrypt`` finds or makes one."""
        shared = self.policy is not None and self.policy.per != "document" and not self.dry_run
        return None if shared else self.documents.dek_id(self.ids, document)

    def misplaced(self, document: Mapping[str, Any]) -> list[str]:
        """Return the paths of the encrypted fields that are to be under another DEK, or in the current format.

        A deterministic field has the same dekId in every dek store: where the store is another, the page finds out.

        Raises:
            InvalidPlaceError: the document's partition key can be no part of a scope.
        """
        if self.policy is not None and self.one_key:
            description = self.documents.description
            place = DocumentPlace(description.name, str(document["id"]), **binding_of(description, document))
            return self.policy.misfits(place, document)
        dek_id = self.documents.dek_id(self.ids, document)
        fields = {path: paths.get(document, path) for path in encrypted_fields(document)}
        stays = DETERMINISTIC_ALGORITHM if self.one_key else ""
        return [path for path, held in fields.items() if held["dekId"] != dek_id and held.get("alg") != stays]


RowFilter = Callable[[Mapping[str, Any]], bool]


async def scan_documents(documents: DocumentStore, request: ScanInput, chosen: RowFilter) -> ScanResult:
    """Find the next page of chosen documents in one feed range; raises KeyturnError as the failure means."""

    def examine(document: Mapping[str, Any]) -> Seen:
        try:
            wanted = chosen(document)
        except (InvalidFieldPathError, InvalidPlaceError):
            wanted = True  # the page names it with its reason
        return Seen(documents.ref(document) if wanted else None)

    return await scan_feed(documents.container, request, examine)


def with_plaintext(documents: DocumentStore) -> RowFilter:
    """Choose documents in which a field is plaintext that the settings name."""
    return lambda document: bool(plaintext_fields(document, documents.description.fields))


def with_fields(documents: DocumentStore) -> RowFilter:
    """Choose documents in which there is anything to decrypt, or that ought to be encrypted."""
    plaintext = with_plaintext(documents)
    return lambda document: bool(encrypted_fields(document)) or plaintext(document)


def under_other_deks(new: NewDeks) -> RowFilter:
    """Choose documents that are not under the DEKs which the migration has for them."""
    plaintext = with_plaintext(new.documents)
    return lambda document: bool(new.misplaced(document)) or plaintext(document)
