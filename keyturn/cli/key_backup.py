"""``key-backup``: the backups that rotations took of the MEK, listed, handed out and brought back.

These commands ask Cosmos DB and Key Vault themselves, with the app's settings in the environment and as whoever is
signed in: on the day on which they are needed the app may be gone, and it must not restore keys anyway. From outside
the network the app lists backups and hands one out; a file is restored without the app and without the database.
"""

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.in_process import run_here
from keyturn.cli.output import AsJson, FromApp, echo, write
from keyturn.cli.rotations import By, Keyring, of_keyring
from keyturn.cli.runs import of_each
from keyturn.contracts.characters import counted
from keyturn.errors import InvalidRequestError, InvariantError, KeyBackupFailedError
from keyturn.ids import ROTATIONS

if TYPE_CHECKING:
    from keyturn.key_drills.drill import DrillRecord
    from keyturn.key_drills.trial import ThrowAwayVault, Trial
    from keyturn.key_vault.backups import Restored
    from keyturn.keyring_clients import KeyringClients
    from keyturn.resources import Resources

app = typer.Typer(help="Backups of the key, two of every rotation.", no_args_is_help=True)

RunId = Annotated[str | None, typer.Argument(help="whose backup")]
EveryRow = Annotated[bool, typer.Option("--all", help="open every row, not a sample of each version")]
_KEPT = "a rotation whose backup is kept"
_RESTORE_STOPPED = "stopped; the same command tells whether the vault has the key now"
_VERIFY_STOPPED = (
    "stopped; a copy of the key may be left in that vault, disabled: delete the vault, and take another one"
)
_AGAIN = "take another one, and verify it; until it opens, nothing replaces the vault: keyturn rotate"
_SEE = "see those that there are: keyturn key-backup list"
Backup = Annotated[Path | None, typer.Option("--file", exists=True, dir_okay=False, help="one that was downloaded")]


@app.command("list")
def list_backups(keyring: Keyring = None, *, from_app: FromApp = False, as_json: AsJson = False) -> None:
    """List the backups, newest first; of every keyring, where none is named."""
    each = ask(lambda api: of_each(partial(_listed_by, api), keyring)) if from_app else run_here(_list(keyring))
    found = [backup for backups in each.values() for backup in backups]
    if as_json:
        write(found, as_json=True)
        return
    for backup in found:
        taken = f"{counted(backup['versions'], 'version')}  {backup['phase']} its version was made"
        echo(f"{backup['rotationId']}  {taken}  until {backup['expiresAt'][:10]}")


@app.command()
def download(
    run_id: Annotated[str, typer.Argument(help="whose backup")],
    file: Annotated[Path, typer.Argument(help="where to write it; must not exist")],
) -> None:
    """Have the app hand a backup out, and write it into a file that only you can read."""
    found = ask(lambda api: api.post(f"{ROTATIONS}/{run_id}/key-backup", {}))
    blob = base64.b64decode(found["blob"])
    if hashlib.sha256(blob).hexdigest() != found["sha256"]:
        raise InvariantError("the backup arrived changed", hint="ask again")
    try:
        target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidRequestError.expected("file", "a path that can be written and does not exist") from error
    with os.fdopen(target, "wb") as opened:
        opened.write(blob)
    echo(f"{file}: {len(blob)} bytes, SHA-256 {found['sha256']}")


@app.command()
def restore(
    vault_url: Annotated[str, typer.Option(help="a vault of the same subscription and geography, without the key")],
    run_id: RunId = None,
    keyring: Keyring = None,
    file: Backup = None,
) -> None:
    """Restore the key with all its versions into a vault, and write the id of its newest version.

    Without a rotation or a file, from the newest backup that is kept: it holds the most versions.
    """
    if run_id is not None and file is not None:
        raise InvalidRequestError.expected("rotationId", "the id of a rotation, or --file: not both")
    _require_vault("--vault-url", vault_url)
    blob = run_here(_stored(run_id, keyring)) if file is None else file.read_bytes()
    restored = run_here(_restore(blob, vault_url), stopped=_RESTORE_STOPPED)
    if restored.enabled:
        echo(f"enabled, as its rotation was about to: {', '.join(restored.enabled)}", err=True)
    echo(restored.key_id)


@app.command()
def verify(
    vault: Annotated[str, typer.Option(help="a vault to be thrown away, of the same subscription and geography")],
    run_id: RunId = None,
    keyring: Keyring = None,
    *,
    every: EveryRow = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup, by default the newest, into a vault to be thrown away, and open today's rows with it.

    The copy of the key is disabled then. It is left for you to delete, with the vault.
    """
    _require_vault("--vault", vault)
    trial = run_here(_verify(run_id, keyring, vault, every=every), stopped=_VERIFY_STOPPED)
    write(trial.to_payload(), as_json=as_json)
    echo(f"left behind, with every version disabled: {trial.key_id.rpartition('/')[0]}; delete that vault", err=True)
    if not trial.passed:
        raise KeyBackupFailedError(trial.sentence(), hint=of_keyring(_AGAIN, keyring), backup=trial.backup)


@app.command()
def drill(
    vault: Annotated[str | None, typer.Option(help="another vault than the setting's, without the key")] = None,
    keyring: Keyring = None,
    by: By = None,
    *,
    every: EveryRow = False,
    as_json: AsJson = False,
) -> None:
    """Try the newest backup as the monthly drill does: recorded, in the audit, and its copy of the key purged."""
    if not by:
        raise InvalidRequestError.expected("by", "who you are, for the record: also as KEYTURN_BY", named="--by")
    if vault is not None:
        _require_vault("--vault", vault)
    record = run_here(_drill(keyring, vault, by=by, every=every))
    write(record.to_payload(), as_json=as_json)
    if not record.passed:
        backup = record.trial.backup if record.trial else "the newest"
        raise KeyBackupFailedError(record.detail, hint=of_keyring(_AGAIN, keyring), backup=backup)


def _require_vault(option: str, url: str) -> None:
    """Raise InvalidRequestError, naming the option, where this is no vault's URL: a name, or http://."""
    from pydantic import TypeAdapter, ValidationError

    from keyturn.settings.types import VaultUrl

    try:
        TypeAdapter(VaultUrl).validate_python(url)
    except ValidationError:
        expected = "a vault's URL, as https://<name>.vault.azure.net"
        raise InvalidRequestError.expected("vaultUrl", expected, named=option) from None


async def _verify(run_id: str | None, keyring: str | None, vault_url: str, *, every: bool) -> "Trial":
    async with _resources() as resources, _throw_away(resources, keyring, vault_url) as vault:
        if (backup := await vault.keyring.key_backups.find(run_id)) is None:
            raise InvalidRequestError(
                f"no such backup is kept: expected {_KEPT}", hint=_SEE, field="rotationId", expected=_KEPT
            )
        return await vault.try_backup(backup, every=every, purge=False)


async def _drill(keyring: str | None, vault_url: str | None, *, by: str, every: bool) -> "DrillRecord":
    from keyturn.key_drills import drill
    from keyturn.settings.keyring import same_vault

    async with _resources() as resources:
        own = resources.settings.keyturn_key_backup_drill_vault_url
        url = vault_url or own
        if url is None:
            expected = "a vault to be thrown away, or KEYTURN_KEY_BACKUP_DRILL_VAULT_URL"
            raise InvalidRequestError.expected("vault", expected, named="--vault")
        async with _throw_away(resources, keyring, url) as vault:
            await resources.correct_clock(partial(echo, err=True))
            emptied, now = own is not None and same_vault(url, own), resources.clock.now()
            return await drill.drill(resources.run_store, vault, by=by, now=now, every=every, emptied=emptied)


@asynccontextmanager
async def _throw_away(resources: "Resources", keyring: str | None, url: str) -> "AsyncIterator[ThrowAwayVault]":
    from keyturn.key_drills.trial import ThrowAwayVault
    from keyturn.settings.keyring import same_vault

    settings = resources.settings
    if any(same_vault(url, one.vault_url) for one in settings.keyrings):
        raise InvalidRequestError.expected("vault", "a vault to be thrown away, and no keyring's own", named="--vault")
    pace = settings.policy.vault_operations_per_second
    async with ThrowAwayVault.open(url, resources.keyring(keyring), resources.credential, pace) as vault:
        yield vault


async def _listed_by(api: Api, keyring: str | None) -> list[dict[str, Any]]:
    return list((await api.get("/api/key-backups", keyring=keyring))["keyBackups"])


async def _list(keyring: str | None) -> dict[str | None, list[dict[str, Any]]]:
    async with _resources() as resources:

        async def listed(name: str | None) -> list[dict[str, Any]]:
            return [backup.to_payload() for backup in await resources.keyring(name).key_backups.listed()]

        return await of_each(listed, keyring)


async def _restore(blob: bytes, vault_url: str) -> "Restored":
    from azure.identity.aio import DefaultAzureCredential
    from azure.keyvault.keys.aio import KeyClient

    from keyturn.key_vault.backups import restore

    # As the setting of the same name; it alone is read, because settings may be gone with the app.
    options: dict[str, Any] = {}
    if os.environ.get("KEYTURN_VERIFY_CHALLENGE_RESOURCE", "").lower() in {"false", "0"}:
        options["verify_challenge_resource"] = False
    async with DefaultAzureCredential() as credential, KeyClient(vault_url, credential, **options) as vault:
        return await restore(blob, vault)


async def _stored(run_id: str | None, keyring: str | None) -> bytes:
    async with keyring_resources(keyring) as resources:
        backup = await resources.key_backups.find(run_id)
        if backup is None:
            raise InvalidRequestError(
                f"no such backup is kept: expected {_KEPT}", hint=_SEE, field="rotationId", expected=_KEPT
            )
        return await resources.key_backups.blob(backup)


@asynccontextmanager
async def keyring_resources(keyring: str | None) -> "AsyncIterator[KeyringClients]":
    """Open the clients of one keyring, with the app's settings in the environment and the caller's own sign-in."""
    async with _resources() as resources:
        yield resources.keyring(keyring)


@asynccontextmanager
async def _resources() -> "AsyncIterator[Resources]":
    from keyturn.resources import Resources
    from keyturn.settings import load_settings

    resources = await Resources.open(load_settings(dict(os.environ)))
    try:
        yield resources
    finally:
        await resources.close()
