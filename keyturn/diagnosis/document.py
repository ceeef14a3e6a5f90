"""Decrypts every encrypted field of a document, and tells of each why it does or does not decrypt.

A field that does not authenticate although its DEK is sound is tried in other places: where it decrypts, it was moved
from there. Plaintext is discarded at once; only whether a field decrypted is told.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from azure.cosmos.aio import ContainerProxy

from field_encrypt import paths
from field_encrypt.dek import Dek
from field_encrypt.envelope import is_encrypted
from field_encrypt.errors import InvalidFieldError, InvalidFieldPathError, InvalidPlaceError, TamperedFieldError
from field_encrypt.fields import FORMAT, PROPERTIES, UNSTATED, EncryptedField, FieldPlace, decrypt_value
from field_encrypt.foreign import looks_encrypted
from field_encrypt.row_states import read_label, scalar
from keyturn.contracts.pages import RowRef
from keyturn.deks.queries import has_id, select_rows
from keyturn.deks.store import read_item
from keyturn.diagnosis.dek import ExaminedDek, examine
from keyturn.diagnosis.models import FIELDS_MAX, DocumentDiagnosis, FieldDiagnosis, Place, Verdict, require_id, worst
from keyturn.documents.queries import documents_naming, encrypted_paths, in_other_partitions, named_deks
from keyturn.documents.store import binding_of
from keyturn.errors import InvalidRequestError, one_of
from keyturn.keyring_clients import KeyringClients

# Among so many documents that name a DEK it is looked for where a ciphertext was copied from.
DOCUMENTS_OF_A_DEK = 5


async def diagnose_document(
    keyring: KeyringClients, container: str | None, document_id: str | None, partition: str | None
) -> DocumentDiagnosis:
    """Tell of every encrypted field whether it opens, and what to do if it does not.

    Without a partition key's value the document is looked for in all partitions.

    Raises:
        InvalidRequestError: no such container, no possible id, or several documents of this id.
        PermissionMissingError: the app's identity may not look.
        UnavailableError: a service did not answer, which says nothing about the document.
    """
    documents = keyring.documents.get(container or "")
    if container is None or documents is None:
        raise InvalidRequestError.expected("container", f"{one_of(keyring.documents, container)} (KEYTURN_DOCUMENTS)")
    wanted = require_id("id", document_id)
    document = await _read(documents, container, wanted, partition)
    if document is None:
        where = "" if partition is None else " under this partition key"
        return DocumentDiagnosis(
            keyring=keyring.keyring.name,
            container=container,
            document_id=wanted,
            verdict=Verdict.DOCUMENT_MISSING,
            finding=f"container {container} has no such document{where}",
        )
    return await _Diagnosis(keyring, container, wanted, document).run()


async def opens_documents(keyring: KeyringClients, dek_id: str, dek: Dek) -> bool:
    """Tell whether the documents that name this id open with this DEK: some that are looked at, and one at least.

    A field opens with one key only, so one that opens shows whose DEK it is. Fields in lists are not looked for. Raises
    KeyturnError as the failure means.
    """
    opened = False
    for description in keyring.keyring.documents:
        name, container = description.name, keyring.documents[description.name]
        for _, named in await documents_naming(container, description, [dek_id], limit=DOCUMENTS_OF_A_DEK):
            ref = RowRef(id=str(named["id"]), partition=scalar(named.get(description.partition_key)))
            document = await read_item(container, ref, name) or {}
            bound = binding_of(description, document)
            for path in paths.find(document, is_encrypted):
                if (stored := paths.get(document, path))["dekId"] != dek_id:
                    continue
                place = FieldPlace(container=name, document_id=ref.id, field_path=path, **bound)
                try:
                    opened = _authenticates(EncryptedField.parse(stored, path), dek, place)
                except InvalidFieldError:
                    opened = False
                if not opened:
                    return False
    return opened


async def _read(container: ContainerProxy, name: str, document_id: str, partition: str | None) -> dict[str, Any] | None:
    if partition is not None:
        return await read_item(container, RowRef(id=document_id, partition=partition), name)
    found = await select_rows(container, has_id(document_id), "TOP 2 *", resource=name)
    if len(found) > 1:
        expected = "the value of the partition key: several documents have this id"
        raise InvalidRequestError.expected("partition", expected)
    return dict(found[0]) if found else None


class _Diagnosis:
    """The diagnosis of one document as it was read."""

    def __init__(self, keyring: KeyringClients, container: str, document_id: str, document: Mapping[str, Any]) -> None:
        self._keyring = keyring
        self._container = container
        self._id = document_id
        self._document = document
        self._descriptions = {found.name: found for found in keyring.keyring.documents}
        self._paths = encrypted_paths(document, self._descriptions[container].fields)
        self._deks: dict[str, ExaminedDek] = {}
        self._naming: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}  # dekId -> container, document that names it

    async def run(self) -> DocumentDiagnosis:
        self._versions = await self._keyring.versions.states()
        container, description = self._keyring.documents[self._container], self._descriptions[self._container]
        self._elsewhere = await in_other_partitions(container, description, self._document)
        fields = [await self._field(path) for path in self._paths[:FIELDS_MAX]]
        verdict, finding = Verdict.NOTHING_ENCRYPTED, "the document holds nothing that is, or should be, encrypted"
        if fields:
            verdict = worst(field.verdict for field in fields)
            first = next(field for field in fields if field.verdict is verdict)
            finding = f"field {first.field_path}: {first.finding}"
        return DocumentDiagnosis(
            keyring=self._keyring.keyring.name,
            container=self._container,
            document_id=self._id,
            verdict=verdict,
            finding=finding,
            fields=fields,
            fields_omitted=len(self._paths) - len(fields),
            deks=[examined.diagnosis for examined in self._deks.values()],
        )

    async def _field(self, path: str) -> FieldDiagnosis:
        known = {"keyring": self._keyring.keyring.name, "field_path": path}
        stored = paths.get(self._document, path)
        # A stored form that lost the properties by which it is known is not mistaken for plain text, nor for another's.
        damaged = isinstance(stored, dict) and len(stored.keys() & set(PROPERTIES)) > 1
        ours = is_encrypted(stored) or (damaged and stored.keys() <= set(PROPERTIES))
        if not ours and (looks_like := looks_encrypted(stored)) is not None:
            finding = f"the field is among those to encrypt, and holds what looks like {looks_like}"
            return FieldDiagnosis(**known, verdict=Verdict.FIELD_FOREIGN, finding=finding)
        if not ours and not damaged:
            finding = "the field is among those to encrypt, and holds a plain value"
            return FieldDiagnosis(**known, verdict=Verdict.FIELD_PLAIN, finding=finding)
        try:
            field = EncryptedField.parse(stored, path)
        except InvalidFieldError as error:
            finding = f"property {error.property_name!r}: expected {error.expected}"
            return FieldDiagnosis(**known, verdict=Verdict.FIELD_MALFORMED, finding=finding)
        if field.dek_id not in self._deks:
            version = self._version_of(field)
            self._deks[field.dek_id] = await examine(self._keyring, field.dek_id, self._versions, version)
        known |= {"dek_id": field.dek_id, "mek_version": field.mek_version}
        return await self._try_to_decrypt(known, field, self._deks[field.dek_id])

    async def _try_to_decrypt(
        self, known: dict[str, str], field: EncryptedField, examined: ExaminedDek
    ) -> FieldDiagnosis:
        diagnosis, dek = examined.diagnosis, examined.dek
        if dek is None:
            return FieldDiagnosis(**known, verdict=diagnosis.verdict, finding=diagnosis.finding)
        own = self._place(self._container, self._document, known["field_path"])
        if _authenticates(field, dek, own):
            label = Verdict.SOUND if self._version_of(field) in self._versions else Verdict.FIELD_VERSION_UNKNOWN
            copied = field.enc < FORMAT and any(field.dek_id in named_deks(other) for other in self._elsewhere)
            seen = [diagnosis.verdict, label, *([Verdict.FIELD_COPIED] if copied else [])]
            verdict, finding = worst(seen), diagnosis.finding
            if verdict is Verdict.FIELD_VERSION_UNKNOWN:
                finding = "the field opens; its mekVersion names no version of the MEK"
            if verdict is Verdict.FIELD_COPIED:
                finding = "the field opens, and a document of this id in another partition names its DEK too"
            return FieldDiagnosis(**known, verdict=verdict, finding=finding, authenticates=True)
        verdict, finding = Verdict.FIELD_TAMPERED, f"it does not authenticate here; {diagnosis.finding}"
        place = await self._moved_from(field, dek, own)
        if _authenticates(field, dek, replace(own, partition_key=UNSTATED)):
            verdict, finding = Verdict.FIELD_UNBOUND, "it opens for a reader that states no partition key only"
        elif place is not None:
            verdict, where = Verdict.FIELD_MOVED, "" if place.partition is None else f" in partition {place.partition}"
            finding = f"it opens as {place.container}/{place.document_id}/{place.field_path}{where} only"
        verdict = worst([diagnosis.verdict, verdict])
        return FieldDiagnosis(**known, verdict=verdict, finding=finding, authenticates=False, belongs_to=place)

    def _version_of(self, field: EncryptedField) -> str | None:
        return read_label(field.mek_version, self._keyring.keyring).version

    def _place(self, container: str, document: Mapping[str, Any], path: str) -> FieldPlace:
        bound = binding_of(self._descriptions[container], document)
        return FieldPlace(container=container, document_id=str(document["id"]), field_path=path, **bound)

    async def _moved_from(self, field: EncryptedField, dek: Dek, own: FieldPlace) -> Place | None:
        """Return where the field opens: in another field, partition or container, or another document of its DEK."""
        places = [(name, self._document) for name in self._descriptions]
        places += [(self._container, found) for found in self._elsewhere]
        for container, document in places + await self._documents_of(field.dek_id):
            patterns = [pattern for pattern in self._descriptions[container].fields if "*" not in pattern]
            for path in dict.fromkeys([own.field_path, *self._paths, *patterns]):
                place = self._place(container, document, path)
                if place != own and _authenticates(field, dek, place):
                    partition = scalar(document.get(self._descriptions[container].partition_key))
                    return Place(
                        container=container, document_id=place.document_id, field_path=path, partition=partition
                    )
        return None

    async def _documents_of(self, dek_id: str) -> list[tuple[str, Mapping[str, Any]]]:
        if dek_id not in self._naming:
            self._naming[dek_id] = [
                (name, document)
                for name, description in self._descriptions.items()
                for _, document in await documents_naming(
                    self._keyring.documents[name], description, [dek_id], limit=DOCUMENTS_OF_A_DEK
                )
            ]
        return self._naming[dek_id]


def _authenticates(field: EncryptedField, dek: Dek, place: FieldPlace) -> bool:
    try:
        decrypt_value(field, dek=dek, place=place)
    except (TamperedFieldError, InvalidFieldPathError, InvalidPlaceError):
        return False
    return True
