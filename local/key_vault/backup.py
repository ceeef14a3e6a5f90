"""Backup and restore of a key with all its versions, as a blob that only vaults with the same secret can read."""

import json
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from local.common.files import write_private
from local.key_vault.errors import VaultError, bad_parameter, key_not_found
from local.key_vault.requests import RestoreKey, encode_base64url, parse
from local.key_vault.store import record_of, version_of
from local.key_vault.vault import Call, Vault

MAX_VERSIONS = 500  # Key Vault's backup page: a key with more versions cannot be backed up


def load_cipher(path: Path) -> Fernet:
    """Return the cipher of the vault's backups; its secret is made at the first call.

    Two local vaults that share this file are what Azure calls one subscription and geography.
    """
    if not path.exists():
        write_private(path, Fernet.generate_key())
    return Fernet(path.read_bytes())


async def backup(vault: Vault, call: Call) -> dict[str, Any]:
    """Return an opaque blob of all versions of a key."""
    versions = vault.store.versions(call.key_name)
    if not versions:
        raise key_not_found(call.key_name)
    if len(versions) > MAX_VERSIONS:
        raise bad_parameter(f"name: {call.key_name!r} has more than {MAX_VERSIONS} versions, too many for a backup")
    records = json.dumps([record_of(key) for key in versions]).encode()
    return {"value": encode_base64url(vault.backup_cipher.encrypt(records))}


async def restore(vault: Vault, call: Call) -> dict[str, Any]:
    """Bring a key back under its name with all versions, attributes and tags; an existing key is never touched."""
    blob = parse(RestoreKey, call.body).value
    try:
        records = json.loads(vault.backup_cipher.decrypt(blob))
    except InvalidToken as error:
        raise bad_parameter("value: is not a backup made with this vault's secret") from error
    versions = [version_of(record) for record in records]
    call.name = versions[0].name
    if vault.store.versions(call.name) or vault.store.deleted(call.name):
        message = f"The key {call.name!r} already exists in this vault, so the backup was not restored."
        raise VaultError(409, "Conflict", message)
    vault.store.add(versions)
    call.version = versions[-1].version
    return versions[-1].bundle(vault.url)
