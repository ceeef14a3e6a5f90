"""I9: the activities of migrations may run twice, or die anywhere, with the same outcome."""

from collections.abc import Collection
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.contracts.migrations import DecryptCheck, Encrypt, Reencrypt, RewrapDeks, Work
from keyturn.contracts.states import State
from keyturn.key_vault.versions import TemporaryEnablement
from tests.field_encrypt.local_cosmos import new_container
from tests.invariants.crashing import Crashing
from tests.invariants.harness import ActivityHarness
from tests.invariants.migrating import RestoreDriver, begun, given_up, restore_wanted, roll_back
from tests.invariants.steps import Steps
from tests.invariants.twice import OF_DOCUMENTS, OF_RESTORES, OF_ROLLBACKS, Twice

NOTES = [{"id": f"note-{number}", "title": f"title {number}"} for number in range(3)]


async def test_every_activity_of_a_restore_runs_twice_with_one_outcome(harness: ActivityHarness) -> None:
    """What was approved is enabled once and disabled again once, and the rows are moved once."""
    record = await restore_wanted(harness)
    twice = Twice(harness, record.run_id)
    driver = RestoreDriver(harness, record, twice.act)

    await driver.to_enabled()
    returned = await driver.to_end()

    assert twice.wrong == []
    assert twice.ran >= OF_RESTORES
    assert {"disabled": [harness.old], "kept": {}} == returned
    await _has_moved_everything(harness, driver.target, disabled={harness.old})


@pytest.mark.parametrize("after", [1, 4, 8, 9])
async def test_a_restore_whose_activities_die_ends_as_one_that_lives(harness: ActivityHarness, after: int) -> None:
    """Whatever request was the last: the version is disabled again, and every row on the other with its own DEK."""
    record = await restore_wanted(harness)
    crashing = Crashing(harness, after, {"freeze_restore", "enable_temporarily", "rewrap_chosen_page", "disable_again"})
    driver = RestoreDriver(harness, record, crashing.act)

    await driver.to_enabled()
    assert (await harness.vault_versions())[harness.old].enabled
    returned = await driver.to_end()

    assert {"disabled": [harness.old], "kept": {}} == returned
    assert {"enable_temporarily", "disable_again"} <= crashing.died
    await _has_moved_everything(harness, driver.target, disabled={harness.old})


async def test_every_activity_of_a_rollback_runs_twice_with_one_outcome(harness: ActivityHarness) -> None:
    """Rows go back once, to the wrap that they had."""
    work = await given_up(harness)
    record = await begun(harness, work)
    twice = Twice(harness, record.run_id)

    await roll_back(Steps(harness, record, twice.act), work)

    assert twice.wrong == []
    assert twice.ran >= OF_ROLLBACKS
    await _has_moved_everything(harness, harness.old)


async def test_a_migrations_page_runs_twice_with_one_outcome(harness: ActivityHarness) -> None:
    """A migration onto a version rewraps its rows once, with the DEKs that they had."""
    await harness.local_keyring.add_many(3, harness.old)
    target = await harness.local_keyring.mek.create()
    record = await begun(harness, RewrapDeks(new_version=target))
    twice = Twice(harness, record.run_id)
    driver = Steps(harness, record, twice.act)
    driver.target = target

    await driver.advance(State.RUNNING)
    await driver.work("rewrap_chosen")

    assert twice.wrong == []
    await _has_moved_everything(harness, target)


@pytest.fixture
async def notes(harness: ActivityHarness, cosmos_client: CosmosClient) -> ContainerProxy:
    """The keyring's documents, in plaintext."""
    container = await new_container(cosmos_client, "notes")
    for note in NOTES:
        await container.create_item(note)
    harness.encrypt_notes(container)
    return container


async def test_every_activity_on_documents_runs_twice_with_one_outcome(
    harness: ActivityHarness, notes: ContainerProxy
) -> None:
    """A document is encrypted once, put under another DEK once, and read after the second run as after the first."""
    works: dict[str, Work] = {
        "encrypt_documents": Encrypt(containers=[notes.id]),
        "reencrypt_documents": Reencrypt(containers=[notes.id], target_keyring=harness.keyring),
        "check_documents": DecryptCheck(containers=[notes.id]),
    }
    ran, wrong, rows = set[str](), list[str](), list[int]()
    for operation, work in works.items():
        record = await begun(harness, work)
        twice = Twice(harness, record.run_id)
        driver = Steps(harness, record, twice.act)
        await driver.advance(State.RUNNING)
        assert await driver.work(operation, notes.id) == len(NOTES)
        await driver.work("prove_documents", notes.id)
        await driver.advance(State.COMPLETED)
        ran, wrong, rows = ran | twice.ran, wrong + twice.wrong, [*rows, len(await harness.rows())]

    encryption = harness.resources.keyring(harness.keyring).encryption()
    read = [
        await encryption.decrypt_fields(notes.id, item["id"], item, None, partition_key=item["id"])
        for item in await harness.stored_notes()
    ]
    assert wrong == []
    assert ran >= OF_DOCUMENTS
    assert rows == [3, 6, 6]  # a DEK a document, and another one when it is re-encrypted
    assert {note["title"] for note in NOTES} == {item["title"] for item in read}


async def test_broken_a_temporary_enablement_that_is_forgotten(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that counts only what it enabled itself forgets, at its second run, what is to be disabled."""
    record = await restore_wanted(harness)
    twice = Twice(harness, record.run_id, "enable_temporarily")
    unbroken = TemporaryEnablement.enable

    async def forgetful(self: TemporaryEnablement, wanted: Collection[str]) -> list[str]:
        known = await self.enabled()
        return [version for version in await unbroken(self, wanted) if version not in known]

    monkeypatch.setattr(TemporaryEnablement, "enable", forgetful)
    await RestoreDriver(harness, record, twice.act).to_enabled()

    assert "enable_temporarily: record: lent is not what the first run left" in twice.wrong


async def _has_moved_everything(harness: ActivityHarness, target: str, disabled: Collection[Any] = ()) -> None:
    """Every row is on the version with its own DEK, and exactly these versions are disabled."""
    versions = await harness.vault_versions()

    assert {row["mekVersion"] for row in await harness.rows()} == {target}
    assert await harness.changed_deks() == []
    assert set(disabled) == {name for name, version in versions.items() if not version.enabled}
