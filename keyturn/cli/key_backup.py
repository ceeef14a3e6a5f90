"""``key-backup``: the backups that rotations took of the MEK, listed and brought back.

These commands ask Cosmos DB and Key Vault themselves, with the app's settings in the environment and as whoever is
signed in: on the day on which they are needed the app may be gone, and it must not restore keys anyway.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.output import AsJson, write
from keyturn.cli.rotations import Keyring
from keyturn.errors import InvalidRequestError

if TYPE_CHECKING:
    from keyturn.key_vault.backups import KeyBackup
    from keyturn.keyring_clients import KeyringClients

app = typer.Typer(help="Backups of the key, taken before every rotation.", no_args_is_help=True)


@app.command("list")
def list_backups(keyring: Keyring = None, *, as_json: AsJson = False) -> None:
    """List the backups, newest first."""
    found = asyncio.run(_list(keyring))
    if as_json:
        write([backup.to_payload() for backup in found], as_json=True)
        return
    for backup in found:
        typer.echo(f"{backup.run_id}  {backup.versions} versions  until {backup.expires_at.date().isoformat()}")


@app.command()
def restore(
    run_id: Annotated[str, typer.Argument(help="whose backup to restore")],
    vault_url: Annotated[str, typer.Option(help="a vault of the same subscription and geography, without the key")],
    keyring: Keyring = None,
) -> None:
    """Restore the key with all its versions into a vault, and write the id of its newest version."""
    typer.echo(asyncio.run(_restore(run_id, vault_url, keyring)))


async def _list(keyring: str | None) -> "list[KeyBackup]":
    async with _keyring_resources(keyring) as resources:
        return await resources.key_backups.listed()


async def _restore(run_id: str, vault_url: str, keyring: str | None) -> str:
    from azure.identity.aio import DefaultAzureCredential
    from azure.keyvault.keys.aio import KeyClient

    async with _keyring_resources(keyring) as resources:
        backup = await resources.key_backups.find(run_id)
        if backup is None:
            raise InvalidRequestError.expected("rotationId", "a rotation whose backup is kept: see key-backup list")
        options: dict[str, Any] = {"verify_challenge_resource": resources.keyring.verify_challenge_resource}
        async with DefaultAzureCredential() as credential, KeyClient(vault_url, credential, **options) as vault:
            return await resources.key_backups.restore(backup, vault)


@asynccontextmanager
async def _keyring_resources(keyring: str | None) -> "AsyncIterator[KeyringClients]":
    from keyturn.resources import Resources
    from keyturn.settings import load_settings

    resources = await Resources.open(load_settings(dict(os.environ)))
    try:
        yield resources.keyring(keyring)
    finally:
        await resources.close()
