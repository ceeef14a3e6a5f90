"""A key backup is tried in a vault that is thrown away: what opens, what does not, and what is left there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys.aio import KeyClient

from field_encrypt import DekStore as ReaderStore
from field_encrypt import MekClient, RowDefaults
from field_encrypt.pacing import Pacer
from keyturn.audit.events import TYPES, KeyBackupTried
from keyturn.clock import Clock
from keyturn.errors import InvariantError, KeyExistsError, KeyturnError, ResourceMissingError
from keyturn.key_drills.drill import drill, read_drill
from keyturn.key_drills.trial import ThrowAwayVault
from keyturn.key_vault.backups import KeyBackup
from keyturn.key_vault.pacing import PacedVault
from keyturn.key_vault.versions import MekVersions
from keyturn.keyring_clients import KeyringClients
from keyturn.runs.store import RotationStore
from local.identity.roles import ROLES
from tests.field_encrypt.local_vault import SECONDS, LocalVault
from tests.keyturn.backups import another_vault, backups_in
from tests.keyturn.local_keyring import LocalKeyring, encoded
from tests.keyturn.runs.lifecycle import new_keyring

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Drills:
    """A keyring with backups, and an empty vault beside its own."""

    def __init__(self, local: LocalKeyring, runs: RotationStore, throw_away: ThrowAwayVault) -> None:
        self.local, self.runs, self.throw_away = local, runs, throw_away
        self.backups = throw_away.keyring.key_backups
        self.name = throw_away.keyring.keyring.name
        self.run_id = f"{self.name}.20261124T120000Z.abcdef"

    async def backup(self, **more: Any) -> KeyBackup:
        """Take the backup of a rotation."""
        versions = len(await self.throw_away.keyring.versions.states())
        return await self.backups.take(self.run_id, versions=versions, now=NOW, **more)

    def fault(self, **rule: Any) -> None:
        """Arm a fault in the throw-away vault."""
        url = f"{self.throw_away.keys.vault_url.rstrip('/')}/_control/faults"
        authority = str(self.local.mek.vault.authority)
        requests.post(url, json=rule, verify=authority, timeout=SECONDS).raise_for_status()

    async def copies(self) -> dict[str, bool]:
        """Return the versions of the copy, and which are enabled."""
        listed = self.throw_away.keys.list_properties_of_key_versions(self.local.mek.name)
        return {str(found.version): bool(found.enabled) async for found in listed}


@pytest.fixture
async def drills(
    local_keyring: LocalKeyring, runs: RotationStore, vault: LocalVault, tmp_path: Path
) -> AsyncIterator[Drills]:
    """A keyring with two versions, and rows under both."""
    for _ in "12":
        await local_keyring.add_many(3, await local_keyring.mek.create())
    with another_vault(tmp_path / "drill", vault, "--throw-away") as other:
        async with beside(local_keyring, runs, other.url) as throw_away:
            yield Drills(local_keyring, runs, throw_away)


@asynccontextmanager
async def beside(local: LocalKeyring, runs: RotationStore, url: str) -> AsyncIterator[ThrowAwayVault]:
    """Open the throw-away vault with the rights that the app has in it, and no others."""
    mek, name = local.mek, new_keyring()
    keyring = KeyringClients(
        keyring=local.keyring.model_copy(update={"name": name}),
        mek=mek.client,
        keys=mek.admin,
        versions=MekVersions(mek.admin, mek.client),
        dek_container=local.container,
        rows=local.store,
        reader_store=ReaderStore(local.container, RowDefaults(mek_name=mek.name)),
        documents={},
        key_backups=backups_in(runs.documents, mek.admin, keyring=name, mek_name=mek.name),
    )
    credential = mek.vault.credential(f"drill-{mek.name}", *ROLES["Keyturn key drill"])
    loopback: Any = {"verify_challenge_resource": False}
    async with (
        credential,
        KeyClient(url, credential, transport=mek.vault.transport(), **loopback) as keys,
        MekClient(url, mek.name, credential, transport=mek.vault.transport(), **loopback) as client,
    ):
        yield ThrowAwayVault(keyring, keys, PacedVault(client, Pacer(1000, Clock())))


@pytest.mark.parametrize("every", [False, True])
async def test_a_backup_opens_the_rows(drills: Drills, *, every: bool) -> None:
    """Rows of every version and rows without a label; the copy is left with nothing enabled."""
    newest = await drills.local.mek.create()
    await drills.local.add_many(30, newest)
    await drills.local.add(newest, mekVersion=...)
    await drills.local.add(newest, mekName="another-mek")
    backup = await drills.backup(new_version=newest)

    trial = await drills.throw_away.try_backup(backup, every=every, purge=False)

    assert (trial.passed, trial.opened, trial.failures) == (True, 37 if every else 27, 0)
    assert (trial.rows[newest], len(trial.rows), trial.versions) == (31 if every else 21, 3, 3)
    assert (trial.backup, trial.phase, trial.copy_is) == (backup.id, "after", "disabled")
    assert set((await drills.copies()).values()) == {False}
    assert len(await drills.copies()) == 3


async def test_rows_that_a_backup_lacks_the_version_of_are_named(drills: Drills) -> None:
    """What the backup from before a rotation does not open is a failure of the backup; a damaged row is not."""
    backup = await drills.backup()
    newest = await drills.local.mek.create()
    lost = [ref.id for ref in await drills.local.add_many(2, newest)]
    await drills.local.add(newest, wrappedDek=encoded(bytes(256)))

    trial = await drills.throw_away.try_backup(backup, every=False, purge=False)

    assert (trial.passed, trial.opened, trial.failures, trial.unreadable) == (False, 6, 2, 1)
    assert trial.failed == dict.fromkeys(lost, f"unknown_version under version {newest}")
    assert "6 of 8 rows open" in trial.sentence()


async def test_nothing_that_was_opened_is_no_success(drills: Drills) -> None:
    """A store without rows says nothing about a backup."""
    async for item in drills.local.container.read_all_items():
        await drills.local.container.delete_item(item["id"], partition_key=item["id"])

    trial = await drills.throw_away.try_backup(await drills.backup(), every=True, purge=False)

    assert (trial.passed, trial.failures) == (False, 0)
    assert "no rows" in trial.sentence()


async def test_a_vault_that_has_the_key_takes_no_copy(drills: Drills) -> None:
    """A second verification in the same vault is refused with what to do, and disables nothing more."""
    backup = await drills.backup()
    await drills.throw_away.try_backup(backup, every=False, purge=False)

    with pytest.raises(KeyExistsError):
        await drills.throw_away.try_backup(backup, every=False, purge=False)


@pytest.mark.parametrize("left", ["nothing", "a copy", "a deleted copy"])
async def test_a_drill_is_recorded_and_leaves_nothing(drills: Drills, left: str) -> None:
    """Whatever an earlier one that died has left: the copy is purged, the result kept and in the audit chain."""
    backup = await drills.backup()
    if left != "nothing":
        await drills.throw_away.try_backup(backup, every=False, purge=False)
    if left == "a deleted copy":
        await drills.throw_away.keys.delete_key(drills.local.mek.name)

    record = await drill(drills.runs, drills.throw_away, by="dana", now=NOW, every=False)

    assert (record.passed, record.by, record.trial and record.trial.copy_is) == (True, "dana", "purged")
    assert (await read_drill(drills.runs.documents, drills.name) or record).model_dump() == record.model_dump()
    assert await drills.copies() == {}
    with pytest.raises(ResourceNotFoundError):
        await drills.throw_away.keys.get_deleted_key(drills.local.mek.name)
    (event,) = await drills.runs.audit.read_chain(drills.run_id)
    assert (event["type"], event["data"]["passed"]) == (TYPES[KeyBackupTried], True)
    assert len(await drills.throw_away.keyring.versions.states()) == 2


@pytest.mark.parametrize("purge", [False, True])
@pytest.mark.parametrize("operation", ["restore", "list", "unwrap"])
async def test_a_trial_that_breaks_off_leaves_nothing_enabled(drills: Drills, operation: str, *, purge: bool) -> None:
    """Also where only the answer to the restore was lost: the copy is not left behind as it came."""
    backup = await drills.backup()
    drills.fault(operation=operation, kind="reset_after" if operation == "restore" else "status", status=403)

    with pytest.raises(KeyturnError):
        await drills.throw_away.try_backup(backup, every=False, purge=purge)

    assert set((await drills.copies()).values()) == (set() if purge else {False})


async def test_another_vault_than_the_drills_own_is_not_emptied(drills: Drills) -> None:
    """Named by mistake, it may hold the key on which another region depends: it is left, and nothing is recorded."""
    await drills.backup()
    await drills.throw_away.try_backup(await drills.backup(), every=False, purge=False)

    with pytest.raises(KeyExistsError):
        await drill(drills.runs, drills.throw_away, by="dana", now=NOW, every=False, emptied=False)

    assert len(await drills.copies()) == 2
    assert await read_drill(drills.runs.documents, drills.name) is None


@pytest.mark.parametrize("damaged", ["AAAA", "AAA", "\u00e9", "", None, 7, ...], ids=repr)
async def test_a_drill_that_cannot_be_made_has_failed(drills: Drills, damaged: object) -> None:
    """However the stored backup is damaged, that is what it came to, and told; the next one replaces it."""
    await drills.backup()
    container = drills.throw_away.keyring.key_backups.documents
    part = (await container.query(drills.name, "SELECT * FROM c WHERE c.kind = @kind", {"@kind": "key-backup-part"}))[0]
    part = {name: value for name, value in {**part, "blob": damaged}.items() if value is not ...}
    await container.replace(part, part["_etag"])

    record = await drill(drills.runs, drills.throw_away, by="dana", now=NOW, every=False)

    assert (record.passed, record.trial) == (False, None)
    assert "could not be tried: the key backup was changed" in record.detail


async def test_without_a_backup_there_is_no_drill(drills: Drills) -> None:
    """Nothing is recorded: there was nothing to try."""
    with pytest.raises(ResourceMissingError, match="no backup"):
        await drill(drills.runs, drills.throw_away, by="dana", now=NOW, every=False)

    assert await read_drill(drills.runs.documents, drills.name) is None


async def test_the_last_copy_is_not_purged(drills: Drills) -> None:
    """Where the keyring's vault lacks a version, the drill vault may hold what brings the key back."""
    backup = await drills.backup(new_version="x")
    await drills.throw_away.try_backup(backup, every=False, purge=False)
    keyring = drills.throw_away.keyring
    keyring.versions.mek.mek_name = f"{drills.local.mek.name}-lost"

    with pytest.raises(InvariantError, match="last copy"):
        await drills.throw_away.purge()

    assert len(await drills.copies()) == 2


async def test_the_keyrings_own_key_is_not_purged(
    drills: Drills, local_keyring: LocalKeyring, runs: RotationStore
) -> None:
    """Neither by the vault's URL nor by what its keys are called."""
    own = local_keyring.mek.vault
    with pytest.raises(InvariantError, match="another vault"):
        async with ThrowAwayVault.open(f"{own.url}/", drills.throw_away.keyring, local_keyring.mek.credential, 1):
            pass
    async with beside(local_keyring, runs, own.url) as mistaken:
        with pytest.raises(InvariantError, match="own key"):
            await mistaken.purge()

    assert len(await drills.throw_away.keyring.versions.states()) == 2
