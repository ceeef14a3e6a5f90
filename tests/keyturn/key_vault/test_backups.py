"""Backups of a MEK: whole or not there, two a rotation, and good for bringing the key back in another vault."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.keyvault.keys import KeyProperties
from azure.keyvault.keys.aio import KeyClient

from keyturn.cosmos.state_container import StateContainer
from keyturn.errors import (
    KeyBackupFailedError,
    KeyExistsError,
    OperatorError,
    PermissionMissingError,
    ResourceMissingError,
    UnavailableError,
    outcome_of,
)
from keyturn.key_vault import backups as backups_module
from keyturn.key_vault.backups import KIND, KeyBackup, KeyBackups, Restored, restore
from keyturn.key_vault.versions import ROTATION_TAG, UNUSED_TAG
from local.identity.roles import KEYS
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault
from tests.keyturn.backups import another_vault, backups_in
from tests.keyturn.local_keyring import LocalKeyring
from tests.local.services import ServiceProcess

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEYRING = "notes"


@pytest.fixture
async def documents(cosmos_client: CosmosClient) -> StateContainer:
    """A container of its own for each test."""
    database = await cosmos_client.create_database_if_not_exists("keyturn")
    return StateContainer(await database.create_container(f"backups-{uuid.uuid4().hex[:8]}", PartitionKey("/keyring")))


@pytest.fixture
async def backups(local_keyring: LocalKeyring, documents: StateContainer) -> KeyBackups:
    """The backups of a MEK with two versions."""
    await local_keyring.mek.create()
    await local_keyring.mek.create()
    return backups_in(documents, local_keyring.mek.admin, keyring=KEYRING, mek_name=local_keyring.mek.name)


@pytest.fixture
def other_vault(tmp_path: Path, vault: LocalVault) -> Iterator[ServiceProcess]:
    """Another vault of the same subscription and geography, which has no keys."""
    with another_vault(tmp_path / "other", vault) as running:
        yield running


def asked(local_keyring: LocalKeyring, operation: str) -> int:
    """Return how often the vault was asked to do this with the MEK."""
    entries = local_keyring.mek.vault.control("GET", "operations", params={"operation": operation})
    return sum(entry["keyName"] == local_keyring.mek.name for entry in entries)


async def stored(documents: StateContainer, kind: str) -> list[dict[str, Any]]:
    """Return the documents of a kind."""
    return await documents.query(KEYRING, "SELECT * FROM c WHERE c.kind = @kind", {"@kind": kind})


async def test_a_backup_tells_what_it_is_and_expires(
    backups: KeyBackups, documents: StateContainer, local_keyring: LocalKeyring
) -> None:
    """Versions, size, place and end are told; every document of it has the same time to live."""
    taken = await backups.take("notes.1", versions=2, now=NOW)

    assert (
        taken.versions,
        taken.mek_name,
        taken.vault_url.rstrip("/"),
    ) == (2, local_keyring.mek.name, local_keyring.mek.vault.url)
    assert taken.expires_at == NOW + timedelta(days=1)
    assert taken.size > 1000
    found = [*await stored(documents, KIND), *await stored(documents, "key-backup-part")]
    assert [86_400] * len(found) == [document["ttl"] for document in found]
    assert len(found) == len(taken.parts) + 1


async def test_one_rotation_has_one_backup(backups: KeyBackups, local_keyring: LocalKeyring) -> None:
    """A second attempt takes the first one's."""
    first = await backups.take("notes.1", versions=2, now=NOW)
    second = await backups.take("notes.1", versions=9, now=NOW + timedelta(hours=1))

    assert first == second
    assert asked(local_keyring, "backup") == 1
    assert await backups.listed() == [first]


async def test_backups_are_listed_newest_first(backups: KeyBackups) -> None:
    """Each belongs to its rotation."""
    taken = [await backups.take(f"notes.{number}", versions=2, now=NOW) for number in (1, 2)]

    assert list(reversed(taken)) == await backups.listed()
    assert await backups.find("notes.3") is None


async def test_a_backup_of_a_newer_release_is_read(backups: KeyBackups, documents: StateContainer) -> None:
    """On the day of a lost vault a release that was rolled back must not refuse it for what it does not know."""
    taken = await backups.take("notes.1", versions=2, now=NOW)
    (stored_one,) = await stored(documents, KIND)
    await documents.replace({**stored_one, "madeBy": {"release": "9.0"}}, stored_one["_etag"])

    found = await backups.find("notes.1")

    assert found is not None
    assert found.to_payload() == taken.to_payload()
    assert await backups.blob(found)


async def test_an_attempt_that_died_leaves_no_backup(
    backups: KeyBackups, documents: StateContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts without the document that lists them are none; the next attempt's are whole."""
    monkeypatch.setattr(backups_module, "PART_BYTES", 1000)
    create = documents.create

    async def dies(document: dict[str, Any]) -> Any:
        if document["kind"] == KIND:
            raise UnavailableError("the keyturn container did not answer")
        return await create(document)

    monkeypatch.setattr(documents, "create", dies)
    with pytest.raises(UnavailableError):
        await backups.take("notes.1", versions=2, now=NOW)
    monkeypatch.setattr(documents, "create", create)

    assert await backups.listed() == []
    taken = await backups.take("notes.1", versions=2, now=NOW)
    assert len(await stored(documents, "key-backup-part")) > len(taken.parts) > 1


async def brought_back(
    blob: bytes, local_keyring: LocalKeyring, vault_url: str
) -> tuple[Restored, dict[str, KeyProperties]]:
    """Restore into the vault; returns what was told, and the versions that are there."""
    vault = local_keyring.mek.vault
    async with (
        vault.credential("admin", *ALL_OF_KEYS) as credential,
        KeyClient(vault_url, credential, verify_challenge_resource=False, transport=vault.transport()) as client,
    ):
        restored = await restore(blob, client)
        listed = client.list_properties_of_key_versions(local_keyring.mek.name)
        found = {str(version.version): version async for version in listed}
        assert (await client.get_key(local_keyring.mek.name)).id == restored.key_id
    return restored, found


async def test_a_key_is_brought_back_in_another_vault(
    backups: KeyBackups, local_keyring: LocalKeyring, other_vault: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every version is there, however many parts there are; what was disabled for a backup is enabled, nothing else."""
    monkeypatch.setattr(backups_module, "PART_BYTES", 1000)
    used = (await local_keyring.mek.client.newest_enabled()).version
    retired = await local_keyring.mek.create(enabled=False)
    new = await local_keyring.mek.create(enabled=False, tags={ROTATION_TAG: "notes.1", UNUSED_TAG: "notes.1"})
    taken = await backups.take("notes.1", versions=4, new_version=new, now=NOW)

    restored, found = await brought_back(await backups.blob(taken), local_keyring, other_vault.url)

    assert (restored.versions, restored.enabled) == (4, [new])
    assert {version for version, state in found.items() if state.enabled} >= {used, new}
    assert (found[retired].enabled, found[new].tags) == (False, {ROTATION_TAG: "notes.1"})


async def test_a_rotation_has_a_backup_before_its_version_and_one_with_it(
    backups: KeyBackups, local_keyring: LocalKeyring
) -> None:
    """Each is taken once; the one with the version is what is found, whether or not the other is kept."""
    before = await backups.take("notes.1", versions=2, now=NOW)
    new = await local_keyring.mek.create()
    after = [await backups.take("notes.1", versions=3, new_version=new, now=NOW + timedelta(hours=1)) for _ in "12"]

    assert (before.phase, after[0].phase, after[0].new_version) == ("before", "after", new)
    assert after[0] == after[1] == await backups.find("notes.1") == await backups.find(None)
    assert asked(local_keyring, "backup") == 2


async def test_a_backup_of_an_earlier_release_is_found(backups: KeyBackups, documents: StateContainer) -> None:
    """It says nothing of a phase: it was taken before its rotation's version was made."""
    taken = await backups.take("notes.1", versions=2, now=NOW)
    stored_as = await documents.read(KEYRING, taken.id)
    assert stored_as is not None
    old = {name: value for name, value in stored_as.items() if name not in {"phase", "newVersion"}}
    await documents.replace(old, stored_as["_etag"])

    found = await backups.find("notes.1")

    assert found is not None
    assert found.model_dump() == taken.model_dump()
    assert await backups.blob(found)


async def test_a_key_that_is_there_is_not_restored_over(backups: KeyBackups, local_keyring: LocalKeyring) -> None:
    """The vault refuses, and what to do is told; another try would change nothing."""
    taken = await backups.take("notes.1", versions=2, now=NOW)
    blob = await backups.blob(taken)

    with pytest.raises(KeyExistsError) as refused:
        await restore(blob, local_keyring.mek.admin)

    assert refused.value.facts == {"resource": local_keyring.mek.vault.url}
    assert "list-deleted" in refused.value.hint
    assert outcome_of(refused.value).exit_code == 73


async def test_what_is_no_backup_of_the_vault_is_told(local_keyring: LocalKeyring) -> None:
    """A file that was cut, or is another one, is no fault of the app: another backup, or another vault, helps."""
    with pytest.raises(KeyBackupFailedError) as refused:
        await restore(b"no backup", local_keyring.mek.admin)

    assert "key-backup list" in refused.value.hint
    assert outcome_of(refused.value).exit_code == 73


@pytest.mark.parametrize(("harm", "expected"), [("gone", ResourceMissingError), ("changed", OperatorError)])
async def test_a_backup_that_was_harmed_is_not_used(
    backups: KeyBackups, documents: StateContainer, harm: str, expected: type[Exception]
) -> None:
    """A part that is gone or was changed is found before anything is restored or handed out."""
    taken = await backups.take("notes.1", versions=2, now=NOW)
    if harm == "gone":
        taken = KeyBackup.model_validate({**taken.model_dump(), "parts": [*taken.parts, "absent"]})
    else:
        part = await documents.read(KEYRING, taken.parts[0])
        assert part is not None
        await documents.replace({**part, "blob": "AAAA"}, part["_etag"])

    with pytest.raises(expected):
        await backups.blob(taken)


async def test_a_missing_right_is_named(local_keyring: LocalKeyring, documents: StateContainer) -> None:
    """Whoever may not back the key up is told so, and nothing is stored."""
    await local_keyring.mek.create()
    vault = local_keyring.mek.vault
    async with (
        vault.credential(f"weak-{local_keyring.mek.name}", f"{KEYS}/read") as credential,
        KeyClient(vault.url, credential, verify_challenge_resource=False, transport=vault.transport()) as keys,
    ):
        backups = backups_in(documents, keys, keyring=KEYRING, mek_name=local_keyring.mek.name)
        with pytest.raises(PermissionMissingError) as refused:
            await backups.take("notes.1", versions=1, now=NOW)

    assert refused.value.facts["operation"] == "back up"
    assert await stored(documents, "key-backup-part") == []


async def test_a_blob_is_in_no_text(backups: KeyBackups, documents: StateContainer) -> None:
    """Neither what is returned nor its representation holds any of it."""
    taken = await backups.take("notes.1", versions=2, now=NOW)
    part = await documents.read(KEYRING, taken.parts[0])
    assert part is not None

    assert part["blob"][:40] not in repr(taken)
    assert part["blob"][:40] not in taken.model_dump_json()
    assert part["blob"][:40] not in repr(
        backups_module._Part.model_validate({name: value for name, value in part.items() if name[0] != "_"})
    )
