"""A container of documents under two keys with a dek store each, as a migration of documents meets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt import DekStore, FieldEncryption, KeyPolicy, KeyVaultProvider, RowDefaults
from field_encrypt.dek import Dek
from keyturn.contracts.base import RunRef
from keyturn.contracts.pages import PageInput, QuarantinedRow, RowRef
from keyturn.deks.page import Hold
from keyturn.documents.dek_ids import DekIds
from keyturn.documents.page import DocumentDependencies, KeyAndRows
from keyturn.documents.store import DocumentStore
from keyturn.settings import DocumentContainer
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_vault import Mek
from tests.keyturn.deks.pages import held

MIGRATION = "notes.m.20261124T120000Z.abcdef"
FIELDS = ["title", "author/name", "parts/*/text"]
NAME = "notes"


def note(document_id: str, **more: Any) -> dict[str, Any]:
    """Return a plaintext document."""
    return {
        "id": document_id,
        "title": f"title of {document_id}",
        "author": {"name": "Dana"},
        "parts": [{"text": "one"}, {"text": None}],
        "likes": 3,
        **more,
    }


def own(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without the service's properties."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


@dataclass
class Side:
    """A key with a version, a dek store, and a reader and writer on them."""

    mek: Mek
    rows: ContainerProxy
    version: str

    @classmethod
    async def create(cls, mek: Mek, client: CosmosClient) -> Self:
        """Make a version and a dek store."""
        return cls(mek, await new_container(client, "deks"), await mek.create())

    @property
    def store(self) -> DekStore:
        """The dek store as readers see it."""
        return DekStore(self.rows, RowDefaults(mek_name=self.mek.name))

    @property
    def encryption(self) -> FieldEncryption:
        """A reader and writer that knows no DEK."""
        return FieldEncryption(KeyVaultProvider(self.mek.client), self.store, None)

    async def row_ids(self) -> set[str]:
        """Return the ids of all rows."""
        return {row["id"] async for row in self.rows.read_all_items()}


@dataclass
class DocumentsHarness:
    """Documents, the side that they are on, and the side that they are to get to."""

    container: ContainerProxy
    source: Side
    target: Side
    quarantined: dict[str, str] = field(default_factory=dict)
    hold: Hold = held
    ids: DekIds = field(default_factory=lambda: DekIds(Dek.generate()))
    description: DocumentContainer = field(default_factory=lambda: DocumentContainer(name=NAME, fields=FIELDS))

    @property
    def documents(self) -> DocumentStore:
        """The container as the migration sees it."""
        return DocumentStore(self.container, self.description)

    def dependencies(self, target: Side | None = None, policy: KeyPolicy | None = None) -> DocumentDependencies:
        """Return what a page works with; without a target, both sides are the source."""
        to = target or self.source
        source = KeyAndRows(self.source.mek.client, self.source.store)
        other = source if to is self.source else KeyAndRows(to.mek.client, to.store)
        return DocumentDependencies(self.documents, source, other, self._take, self.hold, policy)

    async def _take(self, rows: Sequence[QuarantinedRow]) -> None:
        self.quarantined |= {row.id: row.reason for row in rows}

    async def add(self, *ids: str, side: Side | None = None, **more: Any) -> list[RowRef]:
        """Store documents: encrypted by a side, or in plaintext."""
        for document_id in ids:
            document = note(document_id, **more)
            if side is not None:
                document = await side.encryption.encrypt_fields(
                    NAME, document_id, document, FIELDS, partition_key=document_id
                )
            await self.container.create_item(document)
        return refs(*ids)

    async def stored(self, document_id: str) -> dict[str, Any]:
        """Return a document as it is stored."""
        return dict(await self.container.read_item(document_id, partition_key=document_id))

    async def read(self, document_id: str, side: Side) -> dict[str, Any]:
        """Return a document as a reader of the side sees it."""
        document = own(await self.stored(document_id))
        return await side.encryption.decrypt_fields(NAME, document_id, document, FIELDS, partition_key=document_id)


def refs(*ids: str) -> list[RowRef]:
    """Return references to documents."""
    return [RowRef(id=document_id, partition=document_id) for document_id in ids]


def page_of(found: Sequence[RowRef], *, dry_run: bool = False, rate: float = 1000) -> PageInput:
    """Return a page's input."""
    return PageInput(
        run=RunRef(run_id=MIGRATION, keyring="notes", fencing_token=1),
        target_version="",
        source=NAME,
        dry_run=dry_run,
        refs=list(found),
        operations_per_second=rate,
    )


def dek_ids_of(document: Mapping[str, Any]) -> set[str]:
    """Return the dekIds of the example's fields."""
    fields = [document["title"], document["author"]["name"], *(part["text"] for part in document["parts"])]
    return {found["dekId"] for found in fields}
