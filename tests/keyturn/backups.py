"""Key backups of a test's keyring, and other vaults to restore them in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from azure.keyvault.keys.aio import KeyClient

from keyturn.cosmos.state_container import StateContainer
from keyturn.key_vault.backups import KeyBackups
from tests.field_encrypt.local_vault import LocalVault
from tests.local.services import ServiceProcess, start_service


def backups_in(documents: StateContainer, keys: KeyClient, *, keyring: str, mek_name: str) -> KeyBackups:
    """Return the backups of this key, kept for a day."""
    return KeyBackups(
        documents, keys, keyring=keyring, mek_name=mek_name, container="backups", retention=timedelta(days=1)
    )


@contextmanager
def another_vault(state: Path, vault: LocalVault, *options: str) -> Iterator[ServiceProcess]:
    """Run another vault of the same subscription and geography, which has no keys."""
    state.mkdir()
    shutil.copy(vault.identity_key.parents[1] / "vault" / "backup_key", state / "backup_key")
    arguments = ("--state", state, "--tls", vault.server, "--identity-key", vault.identity_key, "--limits", "off")
    running = start_service("local.key_vault", *arguments, *options)
    try:
        yield running
    finally:
        running.stop()
