"""The seed: notes with a DEK each, resumable, with rows of older writers among them."""

import json
import subprocess
import sys

from field_encrypt import DekStore, FieldEncryption, KeyVaultProvider, RowDefaults
from local.backend.notes import ENCRYPTED_FIELDS
from local.backend.seed import OlderRows, seed_notes
from tests.local.backend.running_backend import LocalKeyring
from tests.local.services import REPOSITORY


async def test_seeded_notes_are_readable(local_keyring: LocalKeyring) -> None:
    """Every seeded note decrypts, rows of older writers included, and their rows lack what they should."""
    older = OlderRows(unlabelled=3, without_key_check=2, rsa_oaep=4)
    made = await seed_notes(local_keyring.mek.client, local_keyring.rows, local_keyring.notes, count=20, older=older)
    reader = FieldEncryption(
        KeyVaultProvider(local_keyring.mek.client),
        DekStore(local_keyring.rows, RowDefaults(mek_name=local_keyring.mek.name)),
        None,
    )

    notes = [note async for note in local_keyring.notes.query_items("SELECT * FROM c")]
    titles = set()
    for note in notes:
        key = note["workspaceId"]
        opened = await reader.decrypt_fields(
            local_keyring.notes.id, note["id"], note, ENCRYPTED_FIELDS, partition_key=key
        )
        titles.add(opened["title"])
    rows = [row async for row in local_keyring.rows.query_items("SELECT * FROM c")]

    assert made == 20
    assert {f"Note {number}" for number in range(20)} == titles
    assert sum("mekVersion" not in row for row in rows) == 3
    assert sum("keyCheck" not in row for row in rows) == 2
    assert sum(row["algorithm"] == "RSA-OAEP" for row in rows) == 4
    assert len(rows) == 20


async def test_seed_goes_on_where_it_stopped(local_keyring: LocalKeyring) -> None:
    """A second seed makes what is missing and no more."""
    first = await seed_notes(local_keyring.mek.client, local_keyring.rows, local_keyring.notes, count=5)

    again = await seed_notes(local_keyring.mek.client, local_keyring.rows, local_keyring.notes, count=8)
    nothing = await seed_notes(local_keyring.mek.client, local_keyring.rows, local_keyring.notes, count=8)

    assert (first, again, nothing) == (5, 3, 0)


def test_seed_is_a_command(local_keyring: LocalKeyring) -> None:
    """The command seeds with the backend's environment and says what it made."""
    ended = subprocess.run(
        [sys.executable, "-m", "local.backend.seed", "--notes", "3", "--rsa-oaep", "1"],
        env=local_keyring.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {"notes": 3, "made": 3}
