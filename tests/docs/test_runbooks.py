"""The runbooks are followed: every block of theirs runs against the local Azure, and does what its section says."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from field_encrypt.encoding import to_base64
from local.supervisor import LocalAzure
from tests.docs.shell import Shell
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import keyturn
from tests.end_to_end.migrating import begin, reach, version_of_rows
from tests.end_to_end.moving_documents import (
    APP,
    RECOVERED,
    RECOVERED_DEKS,
    RECOVERED_MEK,
    all_notes,
    allow,
    deks_of,
    rights,
    two_keyrings,
)
from tests.end_to_end.test_restore import bring_back
from tests.local.services import ServiceProcess, start_service

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("runbooks"), pytest.mark.long]

ROTATION = "MEK_ROTATION.md"


@pytest.fixture
def shell(azure: LocalAzure, tmp_path: Path, app: AppHarness) -> Shell:
    """A desk at which the runbook of rotations is followed."""
    return Shell(azure, tmp_path, ROTATION)


@pytest.fixture
async def documents_may_change(app: AppHarness) -> AsyncIterator[None]:
    """The app may change documents and create rows, for this test."""
    held = app.control("identity", "GET", APP)["roles"]
    await allow(app, [*held, *rights()])
    yield
    await allow(app, held)


@pytest.fixture
def other_vault(azure: LocalAzure, tmp_path: Path) -> Iterator[ServiceProcess]:
    """Another vault of the same subscription and geography, which has no keys."""
    state = tmp_path / "vault"
    state.mkdir()
    shutil.copy(azure.layout.folder("key_vault") / "backup_key", state / "backup_key")
    arguments = ("--state", state, "--tls", azure.server_pem, "--identity-key", azure.identity_key, "--limits", "off")
    running = start_service("local.key_vault", *arguments)
    yield running
    running.stop()


async def a_note(app: AppHarness) -> dict[str, Any]:
    """Return a note."""
    return next(iter((await all_notes(app)).values()))


async def test_a_rotation_is_run(app: AppHarness, shell: Shell) -> None:
    """From the desk to the audit: the old version is disabled, and everything that is looked at afterwards is sound."""
    old = await app.newest_version()

    decided = await shell.follow("On the operator's machine", "Pre-flight", "Rotate", "Decide", give="ID")
    run_id = decided.out.splitlines()[-1]
    status = await app.callers.status(run_id)
    target = await app.keys.get_key(app.mek_name, status["targetVersion"])
    head = (target.properties.tags or {})["keyturn-audit-head"]
    verified = await shell.follow("Verify", ID=run_id, HEAD=head, NOTE=(await a_note(app))["id"])

    assert (status["state"], status["retired"]) == ("completed", [old])
    # A keyring of which nothing was tried, and which the schedule has not looked at, is not told to be overdue or not.
    assert {"overdue", "drift", "next due"} <= {line[:8].strip() for line in decided.out.splitlines()}
    assert "verdict" in verified.out
    assert f"{run_id}: " in verified.out
    assert "unbroken" in verified.out


async def test_a_rotation_that_needs_attention(app: AppHarness, shell: Shell) -> None:
    """The row is named and diagnosed, mended and tried again; and a rotation that is given up retires nothing."""
    old = await app.newest_version()
    row_id = await app.add_row(old)
    row = await app.row(row_id)
    await app.rows.replace_item(row_id, {**row, "wrappedDek": to_base64(bytes(256))})
    run_id = await app.start()
    await app.callers.wait_for(run_id, "needs_attention")

    looked = await shell.follow("Look", ID=run_id, DEK=row_id)
    await app.rows.replace_item(row_id, row)
    await shell.follow("Try again", ID=run_id)
    waiting = await app.callers.status(run_id)
    await shell.follow("Give up", ID=run_id)
    await app.callers.wait_for(run_id, "aborted")

    assert row_id in looked.out
    assert "restore the row from a snapshot of the dek store" in looked.out
    assert waiting["state"] == "awaiting_approval"
    assert (await app.versions())[old]
    await app.rotate()


async def test_a_retirement_is_taken_back(app: AppHarness, shell: Shell) -> None:
    """The old version is enabled and rows stay where they are; the next rotation retires it again."""
    old = await version_of_rows(app)
    rotation = await app.rotate()

    followed = await shell.follow("Take a retirement back", ID=rotation["rotationId"])
    enabled = (await app.versions())[old]
    rows = set(await app.census())
    await app.rotate()

    assert (followed.out.splitlines()[0], enabled, rows) == ("completed", True, {rotation["targetVersion"]})
    assert old in followed.out
    assert not (await app.versions())[old]


async def test_a_rotation_is_taken_back(app: AppHarness, shell: Shell) -> None:
    """Every row is on the version that it came from, which is enabled again; looking changed nothing."""
    old = await version_of_rows(app)
    rotation = await app.rotate()

    followed = await shell.follow("Rollback", ID=rotation["rotationId"])

    assert set(await app.census()) == {old}
    assert (await app.versions())[old]
    assert "dry run: " in followed.out
    assert await app.unreadable_notes() == []
    await app.rotate()


async def test_rows_from_a_backup_are_restored(app: AppHarness, shell: Shell) -> None:
    """They are on the current version, and the one that they named is disabled as before."""
    old, new, backup = await bring_back(app, 5)
    assert 5 == len(backup) == len(await app.unreadable_notes())

    await shell.follow("Restore")

    assert set(await app.census()) == {new}
    assert not (await app.versions())[old]
    assert await app.unreadable_notes() == []


async def test_rows_are_moved_by_hand(app: AppHarness, shell: Shell) -> None:
    """Every row of one version is on another afterwards, and both stay enabled."""
    old = await app.newest_version()
    await app.keys.create_rsa_key(app.mek_name, size=2048)
    new = await app.newest_version()

    await shell.follow("Move rows by hand", OLD_VERSION=old, NEW_VERSION=new)

    assert set(await app.census()) == {new}
    assert (await app.versions())[old]
    assert await app.unreadable_notes() == []
    await app.rotate()


async def test_a_document_that_fails(app: AppHarness, shell: Shell) -> None:
    """The section says what is wrong with it and what to do, and finds it among all others."""
    note = await a_note(app)
    row = await app.row(note["title"]["dekId"])
    await app.rows.delete_item(row["id"], partition_key=row["id"])

    followed = await shell.follow("A document fails to decrypt", NOTE=note["id"], DEK=row["id"])
    await app.rows.create_item(row)

    assert "restore the row from a snapshot of the dek store, and never point the document at another" in followed.out
    assert f"{row['id']}  notes  {note['id']}\n" in followed.out
    assert f"notes/{note['id']}" in followed.out


async def test_a_key_is_brought_back(app: AppHarness, shell: Shell, other_vault: ServiceProcess) -> None:
    """The backup of a rotation is listed, opens today's rows, and is in another vault with its version in use."""
    run_id = (await app.rotate())["rotationId"]
    app.azure.start("drill_vault")

    drill_vault = app.azure.layout.url("drill_vault")
    followed = await shell.follow("Bring the key back", DRILL_VAULT=drill_vault, OTHER_VAULT=other_vault.url)

    listed, restored = followed.out.splitlines()[0], followed.out.splitlines()[-1]
    assert f"{run_id}  " in listed
    assert "after its version was made" in listed
    assert f"{drill_vault}/keys/{app.mek_name}" in followed.err
    assert "failed" not in followed.out
    assert restored.startswith(f"{other_vault.url}/keys/{app.mek_name}/")


async def test_a_file_is_restored_without_app_and_database(
    app: AppHarness, other_vault: ServiceProcess, tmp_path: Path
) -> None:
    """On the day on which both are gone, a backup that was taken out before is enough, with no setting of theirs."""
    file = tmp_path / "mek.keybackup"
    file.write_bytes(await app.keys.backup_key(app.mek_name))
    gone = {"KEYTURN_URL": "", "COSMOS_ENDPOINT": "", "AZURE_KEYVAULT_URL": ""}

    restored = await keyturn(
        app.azure, "key-backup", "restore", "--file", str(file), "--vault-url", other_vault.url, **gone
    )

    assert (restored.code, restored.out.rpartition("/")[0]) == (0, f"{other_vault.url}/keys/{app.mek_name}")


async def test_documents_move_to_a_new_key(
    azure: LocalAzure, app: AppHarness, shell: Shell, documents_may_change: None
) -> None:
    """Every document has a new DEK under the new key and decrypts."""
    before = await all_notes(app)
    await app.use(RECOVERED_MEK, RECOVERED_DEKS)
    await app.keys.create_rsa_key(RECOVERED_MEK, size=2048)
    azure.reconfigure(two_keyrings(azure))

    await shell.follow("Re-encrypt", OLD=app.keyring, NEW=RECOVERED, SNAPSHOT="restored 2026-11-24T12:00Z")
    moved = await all_notes(app)
    body = {"snapshotReference": "back again", "reason": "the next test"}
    back = await begin(app, "/api/reencryptions", keyring=RECOVERED, targetKeyring=app.keyring, **body)
    await reach(app, back, "completed")

    assert set(before) == set(moved)
    assert set(deks_of(moved)).isdisjoint(deks_of(before))
    assert await app.unreadable_notes() == []


async def test_a_leak_is_contained(app: AppHarness, shell: Shell, documents_may_change: None) -> None:
    """Every document has a DEK that it had never before."""
    before = await all_notes(app)

    await shell.follow("A leak")

    assert set(deks_of(await all_notes(app))).isdisjoint(deks_of(before))
    assert await app.unreadable_notes() == []
