"""Notes: documents whose title and body are encrypted, under DEKs as a key policy says."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from field_encrypt import DekCache, DekStore, EncryptedContainer, FieldEncryption, FieldPolicy, KeyPolicy, MekProvider

ENCRYPTED_FIELDS = ("title", "body")


class NewNote(BaseModel):
    """Body of ``POST /api/notes``."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    workspace_id: str = Field(min_length=1)
    title: str
    body: str


class NoteKey(BaseModel):
    """What a note is found by."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: str
    workspace_id: str


class Notes:
    """The notes container, read and written through ``field_encrypt``: a note is bound to its workspace."""

    def __init__(self, container: ContainerProxy, provider: MekProvider, dek_store: DekStore, cache: DekCache) -> None:
        self._container, self._provider, self._dek_store, self._cache = container, provider, dek_store, cache
        self._cold = self._encrypted(None, KeyPolicy())
        self.use(KeyPolicy())

    def use(self, policy: KeyPolicy) -> None:
        """Encrypt new notes under this key policy from now on."""
        self._warm = self._encrypted(self._cache, policy)

    def _encrypted(self, cache: DekCache | None, policy: KeyPolicy) -> EncryptedContainer:
        encryption = FieldEncryption(self._provider, self._dek_store, cache, policy=policy)
        return EncryptedContainer(self._container, encryption, FieldPolicy(self._container.id, ENCRYPTED_FIELDS))

    async def create(self, note: NewNote, note_id: str | None = None) -> NoteKey:
        """Store a note and return its key.

        Raises:
            FieldEncryptError, AzureError: the note is not stored.
        """
        key = NoteKey(id=note_id or str(uuid.uuid4()), workspace_id=note.workspace_id)
        document = {"id": key.id, **note.model_dump(by_alias=True), "createdAt": datetime.now(UTC).isoformat()}
        await self._warm.create_item(document)
        return key

    async def read(self, key: NoteKey, *, cold: bool = False) -> dict[str, Any]:
        """Read and decrypt a note; a cold read bypasses the DekCache, so that the vault really unwraps.

        Raises:
            CosmosResourceNotFoundError: there is no such note.
            FieldEncryptError, AzureError: the note cannot be read.
        """
        note = await (self._cold if cold else self._warm).read_item(key.id, key.workspace_id)
        return {name: value for name, value in note.items() if not name.startswith("_")}

    async def listed(self) -> AsyncIterator[NoteKey]:
        """Yield the key of every note, in no particular order."""
        async for found in self._container.query_items("SELECT c.id, c.workspaceId FROM c"):
            yield NoteKey.model_validate(found)
