"""``migrate`` and ``reencrypt``: move rows between versions, encrypt, re-encrypt or check documents.

``rollback`` and ``restore``: take a rotation back, or make rows readable that came back from a backup.
"""

import asyncio
from typing import Annotated, Any
from urllib.parse import quote

import typer

from keyturn.cli.output import AsJson, exit_codes
from keyturn.cli.rotations import POLL_SECONDS, By, Keyring, Poll, Reason, Wait, begin
from keyturn.ids import MIGRATIONS, RESTORES, ROTATIONS

REENCRYPTIONS = "/api/reencryptions"

app = typer.Typer(help="Move rows, or work on documents; each writes the migration's id.", no_args_is_help=True)

Containers = Annotated[list[str] | None, typer.Option("--container", help="all of the keyring's, unless given")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="count, change nothing")]
Target = Annotated[str | None, typer.Option(help="keyring whose MEK wraps the new DEKs; its own, unless given")]
Snapshot = Annotated[str, typer.Option(help="the snapshot that the documents were restored from")]


@app.command("rewrap-deks")
def rewrap_deks(
    new_version: Annotated[str, typer.Option(help="version that the rows are moved onto")],
    old_version: Annotated[str | None, typer.Option(help="only rows under this version")] = None,
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Move rows from one version, or from whatever version they are on, onto a version."""
    body = {"kind": "rewrap-deks", "newVersion": new_version, "oldVersion": old_version}
    _begin(MIGRATIONS, {**body, **_asked(keyring, by, reason, dry_run=dry_run)}, poll if wait else None, as_json)


@app.command()
def encrypt(
    container: Containers = None,
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Encrypt the fields of existing documents that are stored as plain text."""
    body = {"kind": "encrypt", "containers": container}
    _begin(MIGRATIONS, {**body, **_asked(keyring, by, reason, dry_run=dry_run)}, poll if wait else None, as_json)


@app.command("re-encrypt")
def re_encrypt(
    container: Containers = None,
    target_keyring: Target = None,
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Put every document under a fresh DEK."""
    body = {"kind": "re-encrypt", "containers": container, "targetKeyring": target_keyring}
    _begin(MIGRATIONS, {**body, **_asked(keyring, by, reason, dry_run=dry_run)}, poll if wait else None, as_json)


@app.command("decrypt-check")
def decrypt_check(
    container: Containers = None,
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Decrypt every document and change nothing."""
    body = {"kind": "decrypt-check", "containers": container}
    _begin(MIGRATIONS, {**body, **_asked(keyring, by, reason, dry_run=False)}, poll if wait else None, as_json)


def reencrypt(
    keyring: Annotated[str, typer.Option(help="whose MEK was lost; one that can be read again")],
    target_keyring: Annotated[str, typer.Option(help="another keyring, with the new MEK")],
    snapshot_reference: Snapshot,
    container: Containers = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Recover from a lost MEK: new DEK and new ciphertext for every document of a restored snapshot."""
    body = {"containers": container, "targetKeyring": target_keyring, "snapshotReference": snapshot_reference}
    _begin(REENCRYPTIONS, {**body, **_asked(keyring, by, reason, dry_run=dry_run)}, poll if wait else None, as_json)


def _asked(keyring: str | None, by: str | None, reason: str, *, dry_run: bool) -> dict[str, Any]:
    return {"keyring": keyring, "requestedBy": by, "reason": reason, "dryRun": dry_run}


def _begin(path: str, body: dict[str, Any], poll: float | None, as_json: bool) -> None:  # noqa: FBT001 - as the option
    with exit_codes():
        asyncio.run(begin(path, body, "migrationId", poll=poll, as_json=as_json))


LookOnly = Annotated[bool, typer.Option("--dry-run", help="look, change nothing")]


def rollback(
    run_id: Annotated[str, typer.Argument(help="the rotation to take back")],
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: LookOnly = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Move the rows of a rotation back to where they came from, and write the migration's id."""
    path = f"{ROTATIONS}/{quote(run_id, safe='')}/rollback"
    _begin(path, _asked(None, by, reason, dry_run=dry_run), poll if wait else None, as_json)


def restore(
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: LookOnly = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Move rows that name disabled versions onto the current one, once that is approved; write the migration's id."""
    _begin(RESTORES, _asked(keyring, by, reason, dry_run=dry_run), poll if wait else None, as_json)
