"""The bodies that start migrations of documents, and what is looked at before one is started."""

from typing import Annotated, Literal, override

from pydantic import Field

from keyturn.contracts import DecryptCheck, Encrypt, Reencrypt
from keyturn.documents.rights import require_rights
from keyturn.errors import InvalidRequestError
from keyturn.migrations.requests import MigrationRequest
from keyturn.resources import Resources
from keyturn.settings import Keyring


class _DocumentsRequest(MigrationRequest):
    """Work on documents; without ``containers``, on those of all containers of the keyring."""

    containers: Annotated[list[str], Field(min_length=1, max_length=50)] | None = None

    def chosen(self, keyring: Keyring) -> list[str]:
        """Return the containers, each once; raises InvalidRequestError where one is not the keyring's."""
        known = [description.name for description in keyring.documents]
        wanted = list(dict.fromkeys(known if self.containers is None else self.containers))
        if not wanted or not set(wanted) <= set(known):
            expected = f"containers of the keyring's documents: {', '.join(known) or 'its settings name none'}"
            raise InvalidRequestError(f"containers: expected {expected}", field="containers", expected=expected)
        return wanted

    async def changeable(self, resources: Resources, target: str | None = None) -> list[str]:
        """Return the containers, whose documents the app may put under DEKs of the target; a dry run changes none.

        Raises:
            PermissionMissingError: it may not.
        """
        keyring = resources.keyring(self.keyring)
        chosen = self.chosen(keyring.keyring)
        if not self.dry_run:
            await require_rights(keyring, chosen, resources.keyring(target or self.keyring))
        return chosen


class EncryptRequest(_DocumentsRequest):
    """Encrypt the plaintext fields of existing documents."""

    kind: Literal["encrypt"]

    async def work(self, resources: Resources) -> Encrypt:
        """Return the work; raises InvalidRequestError or PermissionMissingError."""
        return Encrypt(containers=await self.changeable(resources))


class DecryptCheckRequest(_DocumentsRequest):
    """Decrypt every document and change nothing."""

    kind: Literal["decrypt-check"]

    async def work(self, resources: Resources) -> DecryptCheck:
        """Return the work; raises InvalidRequestError."""
        return DecryptCheck(containers=self.chosen(resources.settings.keyring(self.keyring)))


class _Reencryption(_DocumentsRequest):
    """Put documents under fresh DEKs of the target keyring, by default of their own."""

    target_keyring: str | None = None
    snapshot_reference: Annotated[str, Field(min_length=1, max_length=500)] | None = None

    async def work(self, resources: Resources) -> Reencrypt:
        """Return the work; raises UnknownKeyringError, InvalidRequestError or PermissionMissingError."""
        return Reencrypt(
            containers=await self.changeable(resources, self.target_keyring),
            target_keyring=resources.settings.keyring(self.target_keyring or self.keyring).name,
            snapshot_reference=self.snapshot_reference,
        )


class ReencryptRequest(_Reencryption):
    """Put documents under fresh DEKs."""

    kind: Literal["re-encrypt"]


class ReencryptionRequest(_Reencryption):
    """Recover from a lost MEK: the target must be another keyring, and the snapshot be named."""

    target_keyring: str
    snapshot_reference: Annotated[str, Field(min_length=1, max_length=500)]

    @override
    async def work(self, resources: Resources) -> Reencrypt:
        """Return the work; raises UnknownKeyringError, InvalidRequestError or PermissionMissingError."""
        if self.target_keyring == resources.settings.keyring(self.keyring).name:
            expected = "another keyring than the one whose MEK was lost"
            raise InvalidRequestError(f"targetKeyring: expected {expected}", field="targetKeyring", expected=expected)
        return await super().work(resources)
