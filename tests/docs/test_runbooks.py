"""What MEK_ROTATION.md says of the day on which app and database are gone, which no walk in one place can show."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import keyturn
from tests.local.services import ServiceProcess, start_service

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("runbooks"), pytest.mark.long]


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
