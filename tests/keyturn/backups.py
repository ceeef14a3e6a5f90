"""Key backups of a test's keyring."""

from datetime import timedelta

from azure.keyvault.keys.aio import KeyClient

from keyturn.cosmos.state_container import StateContainer
from keyturn.key_vault.backups import KeyBackups


def backups_in(documents: StateContainer, keys: KeyClient, *, keyring: str, mek_name: str) -> KeyBackups:
    """Return the backups of this key, kept for a day."""
    return KeyBackups(
        documents, keys, keyring=keyring, mek_name=mek_name, container="backups", retention=timedelta(days=1)
    )
