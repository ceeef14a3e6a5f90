"""The DEK of a save after a new version of the MEK: one that the rotation has moved, or a fresh one."""

from datetime import timedelta
from typing import Any

import pytest

from field_encrypt import (
    DekCache,
    FieldEncryption,
    KeyPolicy,
    KeyVaultProvider,
)
from tests.field_encrypt.local_keyring import LocalKeyring
from tests.field_encrypt.processes import save


def vault_process(local_keyring: LocalKeyring, policy: KeyPolicy, *, settling: float = 0.0) -> FieldEncryption:
    """Return one more process on the vault, which knows the current version as it is now."""
    one = FieldEncryption(KeyVaultProvider(local_keyring.mek.client), local_keyring.store, DekCache(), policy=policy)
    one._sealer._current._settling = timedelta(seconds=settling)
    return one


@pytest.mark.parametrize("per", ["document", "container"])
async def test_dek_under_an_old_version_is_left_behind_until_it_is_rewrapped(
    local_keyring: LocalKeyring, per: Any
) -> None:
    """After a new version, no document is saved under a DEK that the rotation has not moved yet."""
    policy = KeyPolicy(per=per)
    first = await save(vault_process(local_keyring, policy), 1)
    version = await local_keyring.mek.create()

    early = await save(vault_process(local_keyring, policy), 1, previous=first)
    await local_keyring.rewrap(first["title"]["dekId"], version)
    late = await save(vault_process(local_keyring, policy), 1, previous=first)

    assert early["title"]["dekId"] != first["title"]["dekId"] == late["title"]["dekId"]
    assert (early["title"]["mekVersion"], late["title"]["mekVersion"]) == (version, version)


async def test_process_that_does_not_know_the_new_version_yet_follows_those_that_do(
    local_keyring: LocalKeyring,
) -> None:
    """A DEK that was just made under a version which is news to a process is taken by it, not left behind."""
    policy = KeyPolicy(per="container", max_documents=100)  # leases of one: every save asks the row
    behind = vault_process(local_keyring, policy, settling=120)
    await save(behind, 1)
    await local_keyring.change(next(iter(await local_keyring.dek_ids())), createdAt="2026-01-01T00:00:00.000+00:00")
    await local_keyring.mek.create()
    ahead = vault_process(local_keyring, policy, settling=120)
    await save(ahead, 2)
    behind._sealer._current._generations.clear()  # it has to look for the newest generation, and is behind all the same

    deks = [(await save(who, number))["title"]["dekId"] for number, who in enumerate([behind, ahead] * 3, start=3)]

    assert len(set(deks)) == 1
    assert len(await local_keyring.dek_ids()) == 2


async def test_disabled_version_does_not_stop_new_documents(local_keyring: LocalKeyring) -> None:
    """A version that was disabled in an emergency makes its DEKs unreadable, and no save depends on them."""
    policy = KeyPolicy(per="container")
    await save(vault_process(local_keyring, policy), 1)
    version = await local_keyring.mek.create()
    await local_keyring.mek.change(local_keyring.version, enabled=False)

    stored = await save(vault_process(local_keyring, policy, settling=120), 2)

    assert stored["title"]["mekVersion"] == version
