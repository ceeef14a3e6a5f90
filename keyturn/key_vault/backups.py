"""Backups of a MEK: Key Vault's own encrypted blob with every version, kept in a Cosmos DB container for a while.

A rotation takes two: one before it makes its version, and one with that version, before the version can be used.

Only Key Vault opens the blob, in a vault of the same subscription and geography, for an identity that may restore keys.
It is kept in parts, because a document holds 2 MB. The document that lists the parts is written last: a backup is whole
or not there, and what an attempt that died left behind expires by itself.
"""

import base64
import hashlib
import secrets
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.keyvault.keys.aio import KeyClient
from pydantic import Field

from field_encrypt.encoding import from_base64
from keyturn.contracts.base import Payload, RunId
from keyturn.cosmos.state_container import StateContainer, StoredDocument
from keyturn.errors import KeyBackupFailedError, KeyExistsError, OperatorError, ResourceMissingError
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.versions import UNUSED_TAG

type Phase = Literal["before", "after"]  # the new version was made

PART_BYTES = 256 * 1024
KIND = "key-backup"
WHERE_IT_OPENS = "a vault of the same subscription and geography"


class KeyBackup(StoredDocument, extra="ignore"):  # never written anew: what a newer release added is not lost
    """One backup; the blob itself is in the documents that ``parts`` names."""

    id: str
    kind: Literal["key-backup"] = "key-backup"
    keyring: str
    run_id: RunId
    vault_url: str
    mek_name: str
    phase: Phase = "before"  # all that releases up to 0.2 took
    new_version: str | None = None  # of the run, the newest in a backup that was taken after it was made
    versions: int
    size: int  # bytes of the blob
    sha256: str  # of the blob, lower-case hex
    parts: list[str]
    taken_at: datetime
    expires_at: datetime
    ttl: int  # seconds, for Cosmos DB


class KeyBackupContent(Payload):
    """A backup as it is handed out: the blob in base64, which only Key Vault opens, and its SHA-256."""

    run_id: RunId
    sha256: str
    blob: Annotated[str, Field(repr=False)]


class _Part(Payload):
    id: str
    kind: Literal["key-backup-part"] = "key-backup-part"
    keyring: str
    blob: Annotated[str, Field(repr=False)]  # base64
    ttl: int


@dataclass(frozen=True)
class KeyBackups:
    """The backups of one keyring's MEK."""

    documents: StateContainer
    keys: KeyClient
    _: KW_ONLY
    keyring: str
    mek_name: str
    container: str  # its name, for people
    retention: timedelta

    async def take(self, run_id: str, *, versions: int, now: datetime, new_version: str | None = None) -> KeyBackup:
        """Back the MEK up for this rotation: before its new version is made, or once ``new_version`` is there.

        Once for each, however often it is asked for; the number of ``versions`` is for the record.

        Raises:
            PermissionMissingError: the identity may not back the key up, or not write into the container.
            KeyturnError: of the kind that any other failure means.
        """
        backup_id = f"{KIND}.{run_id}" if new_version is None else f"{KIND}.{run_id}.{new_version}"
        if (taken := await self._read(backup_id)) is not None:
            return taken
        with vault_failures("back up", self.mek_name):
            blob = await self.keys.backup_key(self.mek_name)
        seconds = int(self.retention.total_seconds())
        attempt = secrets.token_hex(4)  # parts of two attempts never mix: each blob is encrypted anew
        parts: list[str] = []
        for start in range(0, len(blob), PART_BYTES):
            part = _Part(
                id=f"{KIND}.{run_id}.{attempt}.{len(parts)}",
                keyring=self.keyring,
                blob=base64.b64encode(blob[start : start + PART_BYTES]).decode(),
                ttl=seconds,
            )
            await self.documents.create(part.to_payload())
            parts.append(part.id)
        backup = KeyBackup(
            id=backup_id,
            keyring=self.keyring,
            run_id=run_id,
            phase="before" if new_version is None else "after",
            new_version=new_version,
            vault_url=self.keys.vault_url,
            mek_name=self.mek_name,
            versions=versions,
            size=len(blob),
            sha256=hashlib.sha256(blob).hexdigest(),
            parts=parts,
            taken_at=now,
            expires_at=now + self.retention,
            ttl=seconds,
        )
        await self.documents.create(backup.to_payload())
        return await self._read(backup_id) or backup

    async def _read(self, backup_id: str) -> KeyBackup | None:
        return await self.documents.find(KeyBackup.from_document, self.keyring, backup_id)

    async def find(self, run_id: str | None) -> KeyBackup | None:
        """Return the newest backup of this rotation, or of any; None where none is kept.

        The newest holds the most versions: what is lost with a version that it lacks, no other one brings back.
        """
        return next((found for found in await self.listed() if run_id in {None, found.run_id}), None)

    async def listed(self) -> list[KeyBackup]:
        """Return every backup that has not expired, newest first."""
        found = await self.documents.query(self.keyring, "SELECT * FROM c WHERE c.kind = @kind", {"@kind": KIND})
        backups = [KeyBackup.from_document(document) for document in found]
        return sorted(backups, key=lambda backup: (backup.taken_at, backup.id), reverse=True)

    async def blob(self, backup: KeyBackup) -> bytes:
        """Return the blob of a backup.

        Raises:
            ResourceMissingError: a part of the backup is gone.
            OperatorError: the parts are not what was stored.
        """
        blob = b""
        for part_id in backup.parts:
            document = await self.documents.read(self.keyring, part_id)
            if document is None:
                raise ResourceMissingError(f"part {part_id} of the key backup is gone", resource=self.container)
            blob += from_base64(document.get("blob")) or b""
        if hashlib.sha256(blob).hexdigest() != backup.sha256:
            raise OperatorError(
                "the key backup was changed", hint="take another one: keyturn key-backup list", document=backup.id
            )
        return blob


class Restored(Payload):
    """A key that was brought back."""

    key_id: str  # of its newest version
    versions: int
    enabled: list[str]  # versions that were backed up before they were in use


async def restore(blob: bytes, vault: KeyClient) -> Restored:
    """Restore the key into a vault that has no key of its name, and enable what rotations were about to enable.

    A rotation backs its new version up while that is disabled, so that no row can name a version of which there is no
    backup: such a version carries ``UNUSED_TAG``.

    Raises:
        KeyExistsError: the vault has a key of this name, or a deleted one.
        KeyBackupFailedError: the vault refuses the blob: it is cut, no backup, or of another subscription or geography.
        KeyturnError: of the kind that the vault's refusal means.
    """
    with vault_failures("restore", "the key of the backup"):
        try:
            restored = await vault.restore_key_backup(blob)
        except ResourceExistsError as error:
            raise KeyExistsError("the vault has a key of this name already", resource=vault.vault_url) from error
        except HttpResponseError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            hint = f"it opens whole, in {WHERE_IT_OPENS}; see those that are kept: keyturn key-backup list"
            said = "the vault takes this for no key backup of its own"
            raise KeyBackupFailedError(said, hint=hint, resource=vault.vault_url) from error
        listed = [found async for found in vault.list_properties_of_key_versions(restored.name)]
    enabled = []
    for found in listed:
        if not found.enabled and UNUSED_TAG in (tags := found.tags or {}):
            kept = {name: value for name, value in tags.items() if name != UNUSED_TAG}
            with vault_failures("enable", restored.name, found.version):
                await vault.update_key_properties(restored.name, found.version, enabled=True, tags=kept)
            enabled.append(str(found.version))
    return Restored(key_id=str(restored.id), versions=len(listed), enabled=enabled)
