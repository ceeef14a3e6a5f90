"""A lost vault is brought back from the backup that a rotation took, and every row and document opens again."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.supervisor import LocalAzure, Options
from tests.azure_option import as_asked
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK, VERSION_MAX_AGE
from tests.end_to_end.command_line import keyturn
from tests.end_to_end.migrating import all_rows

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("key backups"), pytest.mark.long]

NOTES = 12


@pytest.fixture
async def doomed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppHarness]:
    """A local Azure of its own, whose vault is lost."""
    options = Options(
        state=tmp_path_factory.mktemp("doomed"),
        deks=NOTES,
        bits=2048,
        vault_limits="off",
        settings=QUICK,
        version_max_age=VERSION_MAX_AGE,
    )
    with LocalAzure(as_asked(options)).running() as azure:
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
