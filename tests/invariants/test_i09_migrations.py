"""I9: the activities of migrations may run twice, or die anywhere, with the same outcome."""

from collections.abc import Collection
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from keyturn.contracts import DecryptCheck, Encrypt, Reencrypt, RewrapDeks
from keyturn.contracts.states import State
from keyturn.key_vault.versions import Loans
from tests.field_encrypt.local_cosmos import new_container
from tests.invariants.dying import Dying
from tests.invariants.migrating import RestoreScript, begun, given_up, restore_wanted, roll_back
from tests.invariants.scene import Scene
from tests.invariants.steps import Steps
from tests.invariants.twice import OF_DOCUMENTS, OF_RESTORES, OF_ROLLBACKS, Twice

NOTES = [{"id": f"note-{number}", "title": f"title {number}"} for number in range(3)]


async def test_every_activity_of_a_restore_runs_twice_with_one_outcome(scene: Scene) -> None:
    """What was approved is enabled once and disabled again once, and the rows are moved once."""
    record = await restore_wanted(scene)
    twice = Twice(scene, record.run_id)
    script = RestoreScript(scene, record, twice.act)

    await script.to_lent()
    returned = await script.to_end()

    assert [] == twice.wrong
    assert twice.ran >= OF_RESTORES
    assert {"returned": [scene.old], "kept": {}} == returned
    await _has_moved_everything(scene, script.target, disabled={scene.old})


@pytest.mark.parametrize("after", [1, 4, 8, 9])
async def test_a_restore_whose_activities_die_ends_as_one_that_lives(scene: Scene, after: int) -> None:
    """Whatever request was the last: the version is disabled again, and every row on the other with its own DEK."""
    record = await restore_wanted(scene)
    dying = Dying(scene, after, {"freeze_restore", "lend_versions", "rewrap_chosen_page", "return_versions"})
    script = RestoreScript(scene, record, dying.act)

    await script.to_lent()
    assert (await scene.vault_versions())[scene.old].enabled
    returned = await script.to_end()

    assert {"returned": [scene.old], "kept": {}} == returned
    assert {"lend_versions", "return_versions"} <= dying.died
    await _has_moved_everything(scene, script.target, disabled={scene.old})


async def test_every_activity_of_a_rollback_runs_twice_with_one_outcome(scene: Scene) -> None:
    """Rows go back once, to the wrap that they had."""
    work = await given_up(scene)
    record = await begun(scene, work)
    twice = Twice(scene, record.run_id)

    await roll_back(Steps(scene, record, twice.act), work)

    assert [] == twice.wrong
    assert twice.ran >= OF_ROLLBACKS
    await _has_moved_everything(scene, scene.old)


async def test_a_migrations_page_runs_twice_with_one_outcome(scene: Scene) -> None:
    """A migration onto a version rewraps its rows once, with the DEKs that they had."""
    await scene.world.add_many(3, scene.old)
    target = await scene.world.mek.create()
    record = await begun(scene, RewrapDeks(new_version=target))
    twice = Twice(scene, record.run_id)
    script = Steps(scene, record, twice.act)
    script.target = target

    await script.advance(State.RUNNING)
    await script.work("rewrap_chosen")

    assert [] == twice.wrong
    await _has_moved_everything(scene, target)


@pytest.fixture
async def notes(scene: Scene, cosmos_client: CosmosClient) -> ContainerProxy:
    """The keyring's documents, in plaintext."""
    container = await new_container(cosmos_client, "notes")
    for note in NOTES:
        await container.create_item(note)
    scene.encrypt_notes(container)
    return container


async def test_every_activity_on_documents_runs_twice_with_one_outcome(scene: Scene, notes: ContainerProxy) -> None:
    """A document is encrypted once, put under another DEK once, and read after the second run as after the first."""
    works = {
        "encrypt_documents": Encrypt(containers=[notes.id]),
        "reencrypt_documents": Reencrypt(containers=[notes.id], target_keyring=scene.keyring),
        "check_documents": DecryptCheck(containers=[notes.id]),
    }
    ran, wrong, rows = set[str](), list[str](), list[int]()
    for operation, work in works.items():
        record = await begun(scene, work)
        twice = Twice(scene, record.run_id)
        script = Steps(scene, record, twice.act)
        await script.advance(State.RUNNING)
        assert await script.work(operation, notes.id) == len(NOTES)
        await script.work("prove_documents", notes.id)
        await script.advance(State.COMPLETED)
        ran, wrong, rows = ran | twice.ran, wrong + twice.wrong, [*rows, len(await scene.rows())]

    encryption = scene.resources.keyring(scene.keyring).encryption()
    read = [await encryption.decrypt_fields(notes.id, item["id"], item, None) for item in await scene.stored_notes()]
    assert [] == wrong
    assert ran >= OF_DOCUMENTS
    assert [3, 6, 6] == rows  # a DEK a document, and another one when it is re-encrypted
    assert {note["title"] for note in NOTES} == {item["title"] for item in read}


async def test_broken_a_loan_that_is_forgotten(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that counts as lent only what it has enabled itself forgets, at its second run, what is to be disabled."""
    record = await restore_wanted(scene)
    twice = Twice(scene, record.run_id, "lend_versions")
    unbroken = Loans.lend

    async def forgetful(self: Loans, wanted: Collection[str]) -> list[str]:
        known = await self.lent()
        return [version for version in await unbroken(self, wanted) if version not in known]

    monkeypatch.setattr(Loans, "lend", forgetful)
    await RestoreScript(scene, record, twice.act).to_lent()

    assert "lend_versions: record: lent is not what the first run left" in twice.wrong


async def _has_moved_everything(scene: Scene, target: str, disabled: Collection[Any] = ()) -> None:
    """Every row is on the version with its own DEK, and exactly these versions are disabled."""
    versions = await scene.vault_versions()

    assert {target} == {row["mekVersion"] for row in await scene.rows()}
    assert [] == await scene.changed_deks()
    assert set(disabled) == {name for name, version in versions.items() if not version.enabled}
