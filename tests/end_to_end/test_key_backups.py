"""A lost vault is brought back from the backup that a rotation took, and every row and document opens again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from keyturn.key_drills.drill import ID
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import execute, installed, keyturn, operator_environment
from tests.end_to_end.migrating import all_rows, approved
from tests.end_to_end.quick_azure import quick_azure
from tests.end_to_end.waits import tick
from tests.invariants.traces import messages_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("key backups"), pytest.mark.long]

NOTES = 12


@pytest.fixture
async def doomed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppHarness]:
    """A local Azure of its own, whose vault is lost."""
    with quick_azure(tmp_path_factory.mktemp("doomed"), deks=NOTES, drill_vault=True) as azure:
        async with AppHarness(azure) as harness:
            yield harness


async def write_notes(app: AppHarness, count: int) -> None:
    """Have the backend write so many notes, each under a DEK of its own."""
    url = f"{app.azure.layout.url('backend')}/api/notes"
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            note = {"workspaceId": "w-1", "title": f"since then {number}", "body": "written after the rotation"}
            async with session.post(url, json=note) as answer:
                assert answer.status == 201, await answer.text()


def lose_the_vault(azure: LocalAzure) -> None:
    """Take every key away: the vault that starts again has its address and none of its state, but for the cipher.

    The cipher of backups is what Azure keeps for a subscription and geography, outside any vault.
    """
    azure.processes["key_vault"].kill()
    for path in azure.layout.folder("key_vault").glob("keys.sqlite*"):
        path.unlink()
    azure.start("key_vault")


async def test_a_backup_is_verified_and_drilled(doomed: AppHarness) -> None:
    """As the operator, by command; then by the schedule's tick as the app, which is once a month; a failure is told."""
    app, vault = doomed, doomed.azure.layout.url("drill_vault")
    rotation = await app.rotate()
    await write_notes(app, 5)
    own = await app.versions()

    verified = await keyturn(app.azure, "key-backup", "verify", rotation["rotationId"], "--vault", vault, "--json")
    again = await keyturn(app.azure, "key-backup", "verify", "--vault", vault)
    mistaken = await keyturn(app.azure, "key-backup", "verify", "--vault", app.azure.layout.url("key_vault"))
    drilled = await keyturn(app.azure, "key-backup", "drill", "--all", "--json")
    await tick(app)
    by_tick = await app.runs.read_item(ID, partition_key=app.keyring)

    assert (verified.code, again.code, mistaken.code, drilled.code) == (0, 73, 64, 0), (verified, again, drilled)
    assert (verified.json["phase"], verified.json["rows"]) == ("after", {rotation["targetVersion"]: NOTES + 5})
    assert "delete that vault" in verified.err
    assert "az keyvault key list-versions" in again.err
    assert "no keyring's own" in mistaken.err
    assert (drilled.json["passed"], drilled.json["trial"]["copyIs"]) == (True, "purged")
    assert by_tick["by"] == "dana@example.com"  # it is not due again

    await app.runs.delete_item(ID, partition_key=app.keyring)
    await tick(app)
    by_tick = await app.runs.read_item(ID, partition_key=app.keyring)
    assert (by_tick["by"], by_tick["passed"], by_tick["trial"]["copyIs"]) == ("schedule", True, "purged")
    assert messages(app) == []

    app.azure.processes["drill_vault"].kill()
    await app.runs.delete_item(ID, partition_key=app.keyring)
    await tick(app)
    await tick(app)
    [message] = messages(app)
    blocked = await app.callers.wait_for(await app.start(), "blocked")
    waiver = {"check": "key_backup_drill", "why": "the drill vault is being replaced"}
    goes_on = await app.start(waivers=[waiver])
    await app.callers.wait_for(goes_on, "awaiting_approval")

    assert "could not be tried" in message["message"]
    assert blocked["detail"] == "key_backup_drill"
    assert {name: state for name, state in (await app.versions()).items() if name in own} == own
    assert "delete" not in {entry["operation"] for entry in app.control("key_vault", "GET", "operations")}


def messages(app: AppHarness) -> list[dict[str, Any]]:
    """Return the messages about drills."""
    title = f"Keyturn: the key backup of {app.keyring} failed its drill"
    return [item for item in messages_of(app) if item["title"] == title and item["channel"] == "everything"]


async def test_a_lost_vault_is_restored_after_a_rotation(doomed: AppHarness) -> None:
    """Rows that a rotation moved and rows that were created since: all of them open, through ``field_encrypt``."""
    app = doomed
    rotation = await app.rotate()
    await write_notes(app, 5)
    rows = await all_rows(app)
    assert {row["mekVersion"] for row in rows.values()} == {rotation["targetVersion"]}
    lose_the_vault(app.azure)
    assert len(await app.unreadable_notes()) == NOTES + 5

    restored = await keyturn(
        app.azure, "key-backup", "restore", rotation["rotationId"], "--vault-url", app.azure.layout.url("key_vault")
    )

    assert restored.code == 0, restored.err
    assert await app.unreadable_notes() == []
    assert await all_rows(app) == rows
    for row_id in rows:
        assert len(await app.dek_of(row_id)) == 32
    assert (await app.rotate())["state"] == "completed"  # and the next one begins from there


async def test_a_version_that_is_lost_is_rolled_back(doomed: AppHarness, tmp_path: Path) -> None:
    """Only the backup from before the rotation is left: the diagnosis names a rollback, and pasted, it opens every row.

    What was created since under the lost version stays lost, and is named: no command pretends otherwise.
    """
    app, note = doomed, "note-000003"
    before = await all_rows(app)
    rotation = await app.rotate()
    await write_notes(app, 1)
    [since] = (await all_rows(app)).keys() - before.keys()
    env = {**operator_environment(app.azure), "PATH": installed(tmp_path)}
    async for document in app.runs.query_items("SELECT * FROM c WHERE c.kind = 'key-backup' AND c.phase = 'after'"):
        await app.runs.delete_item(document["id"], partition_key=app.keyring)
    lose_the_vault(app.azure)
    vault = app.azure.layout.url("key_vault")
    assert (await keyturn(app.azure, "key-backup", "restore", "--vault-url", vault)).code == 0
    assert len(await app.unreadable_notes()) == NOTES + 1

    told = await keyturn(app.azure, "diagnose", "document", note, "--container", "notes", "--json")
    dek = told.json["deks"][0]
    command = dek["nextStep"].partition(": ")[2]
    begun = await execute("sh", "-euc", command, cwd=tmp_path, env=env)
    await approved(app, begun.out.strip())

    assert (told.code, dek["verdict"], command) == (73, "version_lost", f"keyturn rollback {rotation['rotationId']}")
    rows = await all_rows(app)
    lost = rows.pop(since)
    assert {name: row["wrappedDek"] for name, row in rows.items()} == {
        name: row["wrappedDek"] for name, row in before.items()
    }
    assert len(await app.unreadable_notes()) == 1
    verified = await keyturn(app.azure, "verify", "--all")
    assert (verified.code, verified.out.count(f"FAIL  row {since}: ")) == (73, 1)
    assert f"{lost['mekVersion']}: 1" in verified.out
