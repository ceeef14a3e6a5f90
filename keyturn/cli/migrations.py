"""``migrate`` and ``reencrypt``: move rows between versions, encrypt, re-encrypt or check documents.

``rollback`` and ``restore``: take a rotation back, or make rows readable that came back from a backup.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any
from urllib.parse import quote

import typer

from keyturn.cli.client import ask
from keyturn.cli.output import AsJson
from keyturn.cli.rotations import POLL_SECONDS, By, Keyring, Poll, Reason, Wait, begin
from keyturn.ids import MIGRATIONS, RESTORES, ROTATIONS

REENCRYPTIONS = "/api/reencryptions"

app = typer.Typer(help="Move rows, or work on documents; each writes the migration's id.", no_args_is_help=True)

Containers = Annotated[list[str] | None, typer.Option("--container", help="all of the keyring's, unless given")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="count, change nothing")]
LookOnly = Annotated[bool, typer.Option("--dry-run", help="look, change nothing")]
Per = Annotated[str | None, typer.Option(help="documents that share a DEK: those of a partition, or a container")]
Most = Annotated[int | None, typer.Option(help="documents under a DEK that they share, at most; 10000, unless given")]
Target = Annotated[str | None, typer.Option(help="keyring whose MEK wraps the new DEKs; its own, unless given")]

type Start = tuple[str, dict[str, Any]]  # path and body of a request


def _start(
    path: str,
    body: dict[str, Any],
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    asked = {"keyring": keyring, "requestedBy": by, "reason": reason, "dryRun": dry_run, **body}
    ask(lambda api: begin(api, path, asked, "migrationId", poll=poll if wait else None, as_json=as_json))


def _starting(**others: Any) -> Callable[[Callable[..., Start]], Callable[..., None]]:
    """Make a command of a function that returns what to start; the options of ``_start`` come after its own.

    ``others`` replaces the types of those options; None takes one away.
    """

    def decorate(describe: Callable[..., Start]) -> Callable[..., None]:
        own = inspect.signature(describe).parameters
        shared = {name: found for name, found in _SHARED.items() if name not in own and others.get(name, found)}
        added = [found.replace(annotation=others.get(name, found.annotation)) for name, found in shared.items()]

        @wraps(describe)
        def command(**given: Any) -> None:
            path, body = describe(**{name: given.pop(name) for name in own})
            _start(path, body, **given)

        # What typer reads.
        command.__signature__ = inspect.Signature([*own.values(), *added])  # type: ignore[attr-defined]
        command.__annotations__ = {found.name: found.annotation for found in (*own.values(), *added)}
        return command

    return decorate


_SHARED = dict(list(inspect.signature(_start).parameters.items())[2:])


@app.command("rewrap-deks")
@_starting()
def rewrap_deks(
    new_version: Annotated[str, typer.Option(help="version that the rows are moved onto")],
    old_version: Annotated[str | None, typer.Option(help="only rows under this version")] = None,
) -> Start:
    """Move rows from one version, or from whatever version they are on, onto a version."""
    return MIGRATIONS, {"kind": "rewrap-deks", "newVersion": new_version, "oldVersion": old_version}


@app.command()
@_starting()
def encrypt(container: Containers = None, per: Per = None, max_documents: Most = None) -> Start:
    """Encrypt the fields of existing documents that are stored as plain text."""
    return MIGRATIONS, {"kind": "encrypt", "containers": container, "keyPolicy": _policy(per, max_documents)}


@app.command("re-encrypt")
@_starting()
def re_encrypt(
    container: Containers = None, target_keyring: Target = None, per: Per = None, max_documents: Most = None
) -> Start:
    """Put every document under a fresh DEK; or with --per, those that do not fit the key policy under one that does."""
    policy = {"keyPolicy": _policy(per, max_documents)}
    return MIGRATIONS, {"kind": "re-encrypt", "containers": container, "targetKeyring": target_keyring, **policy}


def _policy(per: str | None, max_documents: int | None) -> dict[str, Any] | None:
    given = {"per": per, "maxDocuments": max_documents}
    return {name: value for name, value in given.items() if value is not None} or None


@app.command("decrypt-check")
@_starting(dry_run=None)
def decrypt_check(container: Containers = None) -> Start:
    """Decrypt every document and change nothing."""
    return MIGRATIONS, {"kind": "decrypt-check", "containers": container}


@_starting()
def reencrypt(
    keyring: Annotated[str, typer.Option(help="whose MEK was lost; one that can be read again")],
    target_keyring: Annotated[str, typer.Option(help="another keyring, with the new MEK")],
    snapshot_reference: Annotated[str, typer.Option(help="the snapshot that the documents were restored from")],
    container: Containers = None,
) -> Start:
    """Recover from a lost MEK: new DEK and new ciphertext for every document of a restored snapshot."""
    body = {"containers": container, "targetKeyring": target_keyring, "snapshotReference": snapshot_reference}
    return REENCRYPTIONS, {"keyring": keyring, **body}


@_starting(keyring=None, dry_run=LookOnly)
def rollback(run_id: Annotated[str, typer.Argument(help="the rotation to take back")]) -> Start:
    """Move the rows of a rotation back to where they came from, and write the migration's id."""
    return f"{ROTATIONS}/{quote(run_id, safe='')}/rollback", {}


@_starting(dry_run=LookOnly)
def restore() -> Start:
    """Move rows that name disabled versions onto the current one, once that is approved; write the migration's id."""
    return RESTORES, {}
