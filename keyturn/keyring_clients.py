"""The clients of one keyring: its key, its rows, its documents."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import FieldEncryption, KeyVaultProvider, MekClient, RetryingProvider
from keyturn.contracts.pages import DEKS
from keyturn.deks.store import DekStore
from keyturn.errors import InvariantError
from keyturn.key_vault.backups import KeyBackups
from keyturn.key_vault.versions import MekVersions
from keyturn.settings import Keyring


@dataclass(frozen=True)
class KeyringClients:
    """The clients of one keyring."""

    keyring: Keyring
    mek: MekClient
    keys: KeyClient
    versions: MekVersions
    dek_container: ContainerProxy
    rows: DekStore
    reader_store: ReaderStore
    documents: dict[str, ContainerProxy]
    key_backups: KeyBackups

    def source(self, name: str) -> ContainerProxy:
        """Return the container that a pass goes over; raises InvariantError for one that is not of this keyring."""
        if name == DEKS:
            return self.dek_container
        if name not in self.documents:
            raise InvariantError("a pass goes over a container that is not of its keyring", source=name)
        return self.documents[name]

    def encryption(self) -> FieldEncryption:
        """Return a reader without a cache: every decryption reads the row and unwraps, as a new process would."""
        return FieldEncryption(RetryingProvider(KeyVaultProvider(self.mek)), self.reader_store, None)
