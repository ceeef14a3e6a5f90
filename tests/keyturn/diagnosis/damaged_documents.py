"""Documents with encrypted fields, their DEKs, and every way in which tests harm them."""

import base64
import copy
import uuid
from typing import Any

from azure.cosmos.aio import ContainerProxy, CosmosClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import FieldEncryption, KeyVaultProvider, RowDefaults
from keyturn.cosmos.state_container import StateContainer
from keyturn.diagnosis.dek import diagnose_dek
from keyturn.diagnosis.document import diagnose_document
from keyturn.diagnosis.models import DekDiagnosis, DocumentDiagnosis
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.settings import DocumentContainer, Keyring
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.backups import backups_in
from tests.keyturn.local_keyring import ROTATION, LocalKeyring, encoded

FIELDS = ["title", "author/name"]
WORKSPACE = "workspace-1"
SECRET_TEXTS = ("The plain title", "The plain name")


def flipped(text: str, position: int) -> str:
    """Return the base64 text with another character at this place, in the same alphabet."""
    return text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]


class DamagedDocuments:
    """A keyring with two containers of documents."""

    def __init__(self, local_keyring: LocalKeyring, notes: ContainerProxy, archive: ContainerProxy) -> None:
        self.local_keyring = local_keyring
        self.notes = notes
        self.archive = archive
        described = [
            DocumentContainer(name=found.id, fields=FIELDS, partition_key="workspaceId") for found in (notes, archive)
        ]
        self.keyring = self.resources(documents=[one.model_dump() for one in described])
        self.encryption = FieldEncryption(KeyVaultProvider(local_keyring.mek.client), self.keyring.reader_store, None)

    @classmethod
    async def create(cls, local_keyring: LocalKeyring, client: CosmosClient) -> "DamagedDocuments":
        """Make the containers and the first version of the MEK."""
        await local_keyring.mek.create()
        notes = await new_container(client, "notes", "/workspaceId")
        return cls(local_keyring, notes, await new_container(client, "archive", "/workspaceId"))

    def resources(self, **changes: Any) -> KeyringClients:
        """Return the keyring's clients, with these of its settings changed."""
        local_keyring = self.local_keyring
        return KeyringClients(
            keyring=Keyring.model_validate({**local_keyring.keyring.model_dump(), **changes}),
            mek=local_keyring.mek.client,
            keys=local_keyring.mek.admin,
            versions=MekVersions(local_keyring.mek.admin, local_keyring.mek.client),
            dek_container=local_keyring.container,
            rows=local_keyring.store,
            reader_store=ReaderStore(local_keyring.container, RowDefaults(mek_name=local_keyring.mek.name)),
            documents={found.id: found for found in (self.notes, self.archive)},
            key_backups=backups_in(
                StateContainer(self.archive),
                local_keyring.mek.admin,
                keyring=local_keyring.keyring.name,
                mek_name=local_keyring.mek.name,
            ),
        )

    async def add(self, container: ContainerProxy | None = None, **properties: Any) -> dict[str, Any]:
        """Store a document with two encrypted fields and return it as it is stored."""
        plain = {"id": str(uuid.uuid4()), "workspaceId": WORKSPACE, "title": SECRET_TEXTS[0]}
        document = {**plain, "author": {"name": SECRET_TEXTS[1]}, **properties}
        place, key = container or self.notes, document["workspaceId"]
        stored = await self.encryption.encrypt_fields(place.id, document["id"], document, FIELDS, partition_key=key)
        await place.create_item(stored)
        return stored

    async def change(self, document: dict[str, Any], **title: Any) -> dict[str, Any]:
        """Change properties of the document's encrypted title; ``...`` removes one."""
        changed = copy.deepcopy(document)
        changed["title"] = {name: value for name, value in {**document["title"], **title}.items() if value is not ...}
        await self.notes.replace_item(document["id"], changed)
        return changed

    async def change_row(self, document: dict[str, Any], **properties: Any) -> None:
        """Change properties of the row of the document's DEK; ``...`` removes one."""
        changed = {**await self.row(document), **properties}
        stored = {name: value for name, value in changed.items() if value is not ...}
        await self.local_keyring.container.replace_item(document["title"]["dekId"], stored)

    async def row(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the row of the document's DEK."""
        dek_id = document["title"]["dekId"]
        return dict(await self.local_keyring.container.read_item(dek_id, partition_key=dek_id))

    async def diagnose(self, document: dict[str, Any], container: ContainerProxy | None = None) -> DocumentDiagnosis:
        """Diagnose the document."""
        place = (container or self.notes).id
        return await diagnose_document(self.keyring, place, document["id"], WORKSPACE)

    async def diagnose_dek(self, document: dict[str, Any]) -> DekDiagnosis:
        """Diagnose the document's DEK."""
        return await diagnose_dek(self.keyring, document["title"]["dekId"])


def title_of(found: Any) -> Any:
    """Return what was found of the title."""
    return next(field for field in found.fields if field.field_path == "title")


async def rewrapped(damaged: DamagedDocuments, document: dict[str, Any]) -> str:
    """Move the document's row to a new version as a rotation does; returns the old version."""
    local_keyring = damaged.local_keyring
    row = await damaged.row(document)
    target = await local_keyring.mek.client.fetch_version(await local_keyring.mek.create())
    dek = await local_keyring.mek.client.unwrap(
        base64.b64decode(row["wrappedDek"]), row["mekVersion"], row["algorithm"]
    )
    previous = {name: row[name] for name in ("mekVersion", "wrappedDek", "algorithm")}
    wrapped = encoded(local_keyring.mek.client.wrap(dek, target))
    await damaged.change_row(
        document, wrappedDek=wrapped, mekVersion=target.version, previousWrap=previous, rotationId=ROTATION
    )
    return str(row["mekVersion"])
