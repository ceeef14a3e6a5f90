"""The key's backup: taken by every rotation, by no dry run, and a rotation without one must be answered for."""

import pytest

from keyturn.preflight import vault
from keyturn.preflight.checks import WAIVABLE
from tests.keyturn.backups import backups_in
from tests.keyturn.preflight.harness import PreflightHarness, check_of, failed


async def taken(harness: PreflightHarness) -> int:
    """Return how many backups of the scene's keyring there are."""
    keyring = harness.record().keyring
    backups = backups_in(
        harness.documents, harness.local_keyring.mek.admin, keyring=keyring, mek_name=harness.local_keyring.mek.name
    )
    return len(await backups.listed())


async def test_a_backup_is_taken(harness: PreflightHarness) -> None:
    """The check says how much was stored where, until when, and where it opens."""
    preflight = await harness.run()

    check = check_of(preflight, "key_backup")
    assert check.outcome == "pass"
    assert "1 versions" in check.detail
    assert "stored in backups until 2026-11-25; opens in a vault of the same subscription and geography" in check.detail
    assert await taken(harness) == 1


async def test_a_second_attempt_takes_no_second_backup(harness: PreflightHarness) -> None:
    """Pre-flight may run again for the same rotation."""
    record = harness.record()
    await harness.run(record)
    await harness.run(record)

    assert await taken(harness) == 1


async def test_a_dry_run_takes_none(harness: PreflightHarness) -> None:
    """It tells what a rotation would store, and the vault is not asked for it."""
    preflight = await harness.run(harness.record(dry_run=True))

    assert failed(preflight) == []
    assert "a dry run takes none; a rotation would store 1 versions" in check_of(preflight, "key_backup").detail
    assert "backup" not in harness.local_keyring.mek.vault.operations(harness.who)
    assert await taken(harness) == 0


@pytest.mark.parametrize("dry_run", [False, True], ids=["rotation", "dry run"])
async def test_a_key_with_too_many_versions_is_reported_before(
    harness: PreflightHarness, monkeypatch: pytest.MonkeyPatch, *, dry_run: bool
) -> None:
    """It cannot be waived, as the vault backs no key up with more than 500; no backup is taken."""
    monkeypatch.setattr(vault, "VERSIONS_MAX", 1)
    waivers = [{"check": "key_backup", "by": "dana", "why": "a copy is in the safe"}]

    preflight = await harness.run(harness.record(waivers=waivers, dry_run=dry_run))

    check = check_of(preflight, "mek_versions")
    assert failed(preflight) == ["mek_versions"]
    assert check.detail == "the MEK has 1 versions, and Keyturn makes no more than 1"
    assert "docs/operations.md" in check.hint
    assert "mek_versions" not in WAIVABLE
    assert "backup" not in harness.local_keyring.mek.vault.operations(harness.who)


async def test_a_vault_that_gives_none_blocks_unless_it_is_waived(harness: PreflightHarness) -> None:
    """Somebody must answer for a rotation without a backup."""
    harness.local_keyring.mek.fault(operation="backup", kind="throttle", count=None)
    waiver = {"check": "key_backup", "by": "dana", "why": "a copy is in the safe"}

    assert failed(await harness.run()) == ["key_backup"]
    waived = await harness.run(harness.record(waivers=[waiver]))
    assert failed(waived) == []
    assert "waived by dana: a copy is in the safe" in check_of(waived, "key_backup").detail


async def test_a_container_that_takes_none_blocks(harness: PreflightHarness) -> None:
    """The backup must be stored, not only made."""
    harness.local_keyring.cosmos.fault(operation="create", kind="status", status=403, count=None)

    check = check_of(await harness.run(), "key_backup")

    assert check.outcome == "fail"
    assert "items/create" in check.hint
