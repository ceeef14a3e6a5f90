"""Joins a migration of documents with its clients: what its activities do with a request, by what its record says."""

from collections.abc import Sequence
from dataclasses import dataclass

from field_encrypt import KeyVaultProvider, PatientProvider
from field_encrypt.dek import Dek
from keyturn.contracts import (
    DocumentWork,
    Encrypt,
    PageInput,
    PageResult,
    QuarantinedRow,
    Reencrypt,
    RotationRef,
    ScanInput,
    ScanResult,
)
from keyturn.documents.decrypt_check import check_page
from keyturn.documents.dek_ids import DekIds, open_dek_ids
from keyturn.documents.encrypt import encrypt_page
from keyturn.documents.page import DocumentDependencies, KeyAndRows
from keyturn.documents.reencrypt import reencrypt_page
from keyturn.documents.scan import Choice, scan_documents, under_other_deks, with_fields, with_plaintext
from keyturn.documents.store import DocumentStore
from keyturn.errors import InvariantError
from keyturn.migrations.record import MigrationRecord
from keyturn.resources import KeyringResources, Resources
from keyturn.rotation.quarantine import record_quarantined
from keyturn.rotation.transitions import check_token


@dataclass(frozen=True, slots=True)
class _Opened:
    """A migration's record and clients, for one container."""

    record: MigrationRecord
    work: DocumentWork
    documents: DocumentStore
    source: KeyringResources
    target: KeyringResources
    resources: Resources

    async def ids(self) -> DekIds:
        """Open the migration's dekIds; a dry run, which stores none, draws its own."""
        if self.record.dry_run:
            return DekIds(Dek.generate())
        provider = PatientProvider(KeyVaultProvider(self.target.mek))
        return await open_dek_ids(
            self.resources.migrations.documents, self.record.keyring, self.record.rotation_id, provider
        )

    async def choice(self, *, proving: bool) -> Choice:
        """Return which documents a scan is to find."""
        if isinstance(self.work, Encrypt) and not proving:
            return with_plaintext(self.documents)
        if isinstance(self.work, Reencrypt) and not proving:
            return under_other_deks(self.documents, await self.ids())
        return with_fields(self.documents)

    def dependencies(self, request: RotationRef, *, proving: bool = False) -> DocumentDependencies:
        """Return what a page works with; a proof reads by the target alone."""

        async def quarantine(rows: Sequence[QuarantinedRow]) -> None:
            await record_quarantined(self.resources.every_run, request, rows)

        target = _side(self.target)
        source = target if proving or self.source is self.target else _side(self.source)
        return DocumentDependencies(self.documents, source, target, quarantine)


async def scan(request: ScanInput, resources: Resources) -> ScanResult:
    """Find the next page of documents for the migration's work, or of all that a proof has to open."""
    opened = await _open(request, request.source, resources)
    choice = await opened.choice(proving=request.selection == "rewrapped")
    return await scan_documents(opened.documents, request, choice)


async def encrypt(request: PageInput, resources: Resources) -> PageResult:
    """Encrypt a page of documents."""
    opened = await _open(request, request.source, resources)
    return await encrypt_page(request, await opened.ids(), opened.dependencies(request))


async def reencrypt(request: PageInput, resources: Resources) -> PageResult:
    """Re-encrypt a page of documents."""
    opened = await _open(request, request.source, resources)
    return await reencrypt_page(request, await opened.ids(), opened.dependencies(request))


async def check(request: PageInput, resources: Resources) -> PageResult:
    """Decrypt a page of documents where the migration has put them, or where they are."""
    opened = await _open(request, request.source, resources)
    return await check_page(request, opened.dependencies(request, proving=True))


async def _open(request: RotationRef, container: str, resources: Resources) -> _Opened:
    record = await resources.migrations.read(request.rotation_id)
    check_token(record, request)
    work = record.work
    if not isinstance(work, DocumentWork):
        raise InvariantError("a migration of rows looks for documents", migrationId=record.rotation_id)
    source = resources.keyring(record.keyring)
    descriptions = {description.name: description for description in source.keyring.documents}
    if container not in descriptions:
        raise InvariantError("a container is not of its keyring any more", container=container)
    return _Opened(
        record=record,
        work=work,
        documents=DocumentStore(source.documents[container], descriptions[container]),
        source=source,
        target=resources.keyring(work.target_keyring) if isinstance(work, Reencrypt) else source,
        resources=resources,
    )


def _side(keyring: KeyringResources) -> KeyAndRows:
    return KeyAndRows(keyring.mek, keyring.reader_store)
