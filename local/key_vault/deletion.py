"""Deletion and purge of a key, only in a vault that is started to be thrown away: no other deletes anything."""

import time
from typing import Any

from local.key_vault.errors import VaultError, key_not_found
from local.key_vault.model import RECOVERABLE_DAYS
from local.key_vault.vault import Call, Vault

_DAY = 86_400


def _check(vault: Vault) -> None:
    if not vault.throw_away:
        raise VaultError(403, "Forbidden", "This vault deletes nothing: no key, no version, no backup.")


async def delete(vault: Vault, call: Call) -> dict[str, Any]:
    """Delete a key softly: its name stays taken until it is purged."""
    _check(vault)
    key, now = vault.store.get(call.key_name), int(time.time())
    bundle = {
        **key.bundle(vault.url),
        "recoveryId": f"{vault.url}/deletedkeys/{key.name}",
        "deletedDate": now,
        "scheduledPurgeDate": now + RECOVERABLE_DAYS * _DAY,
    }
    vault.store.delete(key.name, bundle)
    return bundle


async def get_deleted(vault: Vault, call: Call) -> dict[str, Any]:
    """Return a deleted key."""
    if (bundle := vault.store.deleted(call.key_name)) is None:
        raise key_not_found(call.key_name)
    return bundle


async def purge(vault: Vault, call: Call) -> dict[str, Any]:
    """Give a deleted key's name free; the answer has no content."""
    _check(vault)
    if vault.store.deleted(call.key_name) is None:
        raise key_not_found(call.key_name)
    vault.store.purge(call.key_name)
    return {}
