"""The key's backup: taken by every rotation, by no dry run, and a rotation without one must be answered for."""

import pytest

from keyturn.preflight import vault as key_backup
from tests.keyturn.backups import backups_in
from tests.keyturn.preflight.scene import Scene, check_of, failed


async def taken(scene: Scene) -> int:
    """Return how many backups of the scene's keyring there are."""
    keyring = scene.record().keyring
    backups = backups_in(scene.documents, scene.world.mek.admin, keyring=keyring, mek_name=scene.world.mek.name)
    return len(await backups.listed())


async def test_a_backup_is_taken(scene: Scene) -> None:
    """The check says how much was stored where, until when, and where it opens."""
    preflight = await scene.run()

    check = check_of(preflight, "key_backup")
    assert "pass" == check.outcome
    assert "1 versions" in check.detail
    assert "stored in backups until 2026-11-25; opens in a vault of the same subscription and geography" in check.detail
    assert 1 == await taken(scene)


async def test_a_second_attempt_takes_no_second_backup(scene: Scene) -> None:
    """Pre-flight may run again for the same rotation."""
    record = scene.record()
    await scene.run(record)
    await scene.run(record)

    assert 1 == await taken(scene)


async def test_a_dry_run_takes_none(scene: Scene) -> None:
    """It tells what a rotation would store, and the vault is not asked for it."""
    preflight = await scene.run(scene.record(dry_run=True))

    assert [] == failed(preflight)
    assert "a dry run takes none; a rotation would store 1 versions" in check_of(preflight, "key_backup").detail
    assert "backup" not in scene.world.mek.vault.operations(scene.who)
    assert 0 == await taken(scene)


async def test_a_key_with_too_many_versions_is_told_before(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vault would refuse above 500; it is not asked."""
    monkeypatch.setattr(key_backup, "VERSIONS_MAX", 0)

    preflight = await scene.run()

    assert ["key_backup"] == failed(preflight)
    assert "the MEK has 1 versions, and Key Vault backs up at most 0" == check_of(preflight, "key_backup").detail
    assert "backup" not in scene.world.mek.vault.operations(scene.who)


async def test_a_vault_that_gives_none_blocks_unless_it_is_waived(scene: Scene) -> None:
    """Somebody must answer for a rotation without a backup."""
    scene.world.mek.fault(operation="backup", kind="throttle", count=None)
    waiver = {"check": "key_backup", "by": "dana", "why": "a copy is in the safe"}

    assert ["key_backup"] == failed(await scene.run())
    waived = await scene.run(scene.record(waivers=[waiver]))
    assert [] == failed(waived)
    assert "waived by dana: a copy is in the safe" in check_of(waived, "key_backup").detail


async def test_a_container_that_takes_none_blocks(scene: Scene) -> None:
    """The backup must be stored, not only made."""
    scene.world.cosmos.fault(operation="create", kind="status", status=403, count=None)

    check = check_of(await scene.run(), "key_backup")

    assert "fail" == check.outcome
    assert "items/create" in check.hint
