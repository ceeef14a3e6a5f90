"""``python -m local.backend.seed --notes N [...]``: makes notes, each with its own DEK, in the containers that exist.

Notes have fixed ids, so that a seed that was interrupted goes on where it stopped. An interruption between a DEK's row
and its note leaves a row that nothing names.
"""

import argparse
import asyncio
import json
from datetime import UTC, datetime
from typing import override

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError
from pydantic import BaseModel, ConfigDict, Field

from field_encrypt import DekCache, DekStore, KeyVaultProvider, MekClient, RowDefaults, RowNames, WrappedDek
from field_encrypt.rows import new_row
from local.backend.clients import open_clients
from local.backend.load import WORKSPACES
from local.backend.notes import NewNote, Notes
from local.backend.providers import FixedVersionProvider
from local.backend.settings import BackendSettings

AT_A_TIME = 32


class OlderRows(BaseModel):
    """How many of the notes have rows as older writers left them."""

    model_config = ConfigDict(frozen=True)

    unlabelled: int = Field(default=0, ge=0)  # name neither MEK nor version
    without_key_check: int = Field(default=0, ge=0)
    rsa_oaep: int = Field(default=0, ge=0)  # wrapped with RSA-OAEP (SHA-1)


class OlderDekStore(DekStore):
    """Writes rows that lack properties."""

    def __init__(self, container: ContainerProxy, defaults: RowDefaults, lacking: tuple[str, ...]) -> None:
        super().__init__(container, defaults)
        self._rows = container
        self._lacking = lacking

    @override
    async def create(self, dek_id: str, wrapped: WrappedDek, key_check: bytes) -> None:
        """Create the row without what an older writer did not know."""
        row = new_row(
            dek_id,
            partition_value=dek_id,
            wrapped=wrapped,
            key_check=key_check,
            created_at=datetime.now(UTC),
            names=RowNames(),
        )
        await self._rows.create_item({name: value for name, value in row.items() if name not in self._lacking})


async def seed_notes(
    mek: MekClient, dek_store: ContainerProxy, notes: ContainerProxy, *, count: int, older: OlderRows | None = None
) -> int:
    """Make sure that seeded notes 0 to ``count`` - 1 exist, and return how many were made now.

    Raises:
        FieldEncryptError, AzureError: the first failure; a second call goes on from there.
    """
    older = older or OlderRows()
    defaults, names = RowDefaults(mek_name=mek.mek_name), RowNames()
    current = KeyVaultProvider(mek)
    # The version is asked for only where it is needed: it costs an operation of the vault's budget.
    oaep = FixedVersionProvider(mek, await mek.newest_enabled(), "RSA-OAEP") if older.rsa_oaep else current
    store, cache = DekStore(dek_store, defaults), DekCache(max_entries=1)
    unlabelled = OlderDekStore(dek_store, defaults, (names.mek_version, names.mek_name))
    without_check = OlderDekStore(dek_store, defaults, (names.key_check,))
    writers = [
        *[Notes(notes, current, unlabelled, cache)] * older.unlabelled,
        *[Notes(notes, current, without_check, cache)] * older.without_key_check,
        *[Notes(notes, oaep, store, cache)] * older.rsa_oaep,
    ]
    plain = Notes(notes, current, store, cache)
    existing = {key.id async for key in plain.listed()}
    missing = iter([number for number in range(count) if note_id(number) not in existing])
    made = 0

    async def work() -> None:
        nonlocal made
        for number in missing:
            await _make(writers[number] if number < len(writers) else plain, number)
            made += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_A_TIME):
            tasks.create_task(work())
    return made


async def _make(writer: Notes, number: int) -> None:
    note = NewNote(workspaceId=workspace_of(number), title=f"Note {number}", body=f"The text of {number}.")
    try:
        await writer.create(note, note_id(number))
    except CosmosResourceExistsError:
        return  # the SDK repeats a create whose answer was lost: the note is there


def note_id(number: int) -> str:
    """Return the id of a seeded note."""
    return f"note-{number:06}"


def workspace_of(number: int) -> str:
    """Return the workspace of a seeded note."""
    return f"workspace-{number % WORKSPACES}"


def main() -> None:
    """Seed with the backend's environment and print what was done as JSON."""
    parser = argparse.ArgumentParser(prog="python -m local.backend.seed")
    parser.add_argument("--notes", type=int, required=True, help="how many seeded notes there are to be")
    parser.add_argument("--unlabelled", type=int, default=0, help="rows that name neither MEK nor version")
    parser.add_argument("--without-key-check", type=int, default=0, help="rows without a key check")
    parser.add_argument("--rsa-oaep", type=int, default=0, help="rows wrapped with RSA-OAEP (SHA-1)")
    arguments = parser.parse_args()
    older = OlderRows(
        unlabelled=arguments.unlabelled,
        without_key_check=arguments.without_key_check,
        rsa_oaep=arguments.rsa_oaep,
    )
    print(json.dumps({"notes": arguments.notes, "made": asyncio.run(_run(arguments.notes, older))}))


async def _run(count: int, older: OlderRows) -> int:
    async with open_clients(BackendSettings()) as clients:
        return await seed_notes(clients.mek, clients.dek_store, clients.notes, count=count, older=older)


if __name__ == "__main__":
    main()
