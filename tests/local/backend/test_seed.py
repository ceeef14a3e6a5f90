"""The seed: notes with a DEK each, resumable, with rows of older writers among them."""

import json
import subprocess
import sys

from field_encrypt import DekStore, FieldEncryption, KeyVaultProvider, RowDefaults
from local.backend.notes import ENCRYPTED_FIELDS
from local.backend.seed import OlderRows, seed_notes
from tests.local.backend.running_backend import World
from tests.local.services import REPOSITORY


async def test_seeded_notes_are_readable(world: World) -> None:
    """Every seeded note decrypts, rows of older writers included, and their rows lack what they should."""
    older = OlderRows(unlabelled=3, without_key_check=2, rsa_oaep=4)
    made = await seed_notes(world.mek.client, world.rows, world.notes, count=20, older=older)
    reader = FieldEncryption(
        KeyVaultProvider(world.mek.client), DekStore(world.rows, RowDefaults(mek_name=world.mek.name)), None
    )

    notes = [note async for note in world.notes.query_items("SELECT * FROM c")]
    titles = set()
    for note in notes:
        titles.add((await reader.decrypt_fields(world.notes.id, note["id"], note, ENCRYPTED_FIELDS))["title"])
    rows = [row async for row in world.rows.query_items("SELECT * FROM c")]

    assert 20 == made
    assert {f"Note {number}" for number in range(20)} == titles
    assert 3 == sum("mekVersion" not in row for row in rows)
    assert 2 == sum("keyCheck" not in row for row in rows)
    assert 4 == sum(row["algorithm"] == "RSA-OAEP" for row in rows)
    assert 20 == len(rows)


async def test_seed_goes_on_where_it_stopped(world: World) -> None:
    """A second seed makes what is missing and no more."""
    first = await seed_notes(world.mek.client, world.rows, world.notes, count=5)

    again = await seed_notes(world.mek.client, world.rows, world.notes, count=8)
    nothing = await seed_notes(world.mek.client, world.rows, world.notes, count=8)

    assert (first, again, nothing) == (5, 3, 0)


def test_seed_is_a_command(world: World) -> None:
    """The command seeds with the backend's environment and says what it made."""
    ended = subprocess.run(
        [sys.executable, "-m", "local.backend.seed", "--notes", "3", "--rsa-oaep", "1"],
        env=world.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "") == (ended.returncode, ended.stderr)
    assert {"notes": 3, "made": 3} == json.loads(ended.stdout)
