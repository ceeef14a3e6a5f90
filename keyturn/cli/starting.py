"""Commands that start a run and write its id: ``rotate``, ``migrate``, ``reencrypt``, ``rollback`` and ``restore``."""

import inspect
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.next_steps import started
from keyturn.cli.output import AsJson, echo, write
from keyturn.cli.rotations import POLL_SECONDS, By, Keyring, Poll, Reason, Wait
from keyturn.cli.waiting import require_good_end, status_of
from keyturn.errors import InvalidRequestError
from keyturn.ids import MIGRATIONS, RESTORES, ROTATIONS

REENCRYPTIONS = "/api/reencryptions"

app = typer.Typer(help="Move rows, or work on documents; each writes the migration's id.", no_args_is_help=True)

Containers = Annotated[list[str] | None, typer.Option("--container", help="all of the keyring's, unless given")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="count, change nothing")]
LookOnly = Annotated[bool, typer.Option("--dry-run", help="look, change nothing")]
PreflightOnly = Annotated[bool, typer.Option("--dry-run", help="stop after pre-flight")]
Per = Annotated[str | None, typer.Option(help="documents that share a DEK: those of a partition, or a container")]
Most = Annotated[int | None, typer.Option(help="documents under a DEK that they share, at most; 10000, unless given")]
Target = Annotated[str | None, typer.Option(help="keyring whose MEK wraps the new DEKs; its own, unless given")]


class Start(NamedTuple):
    """A request that starts a run."""

    path: str
    body: dict[str, Any]
    key: str | None = None  # the same request with the same key is one request
    kind: str = "migration"  # of what is started, as next_steps tells of it


def _start(
    request: Start,
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    body = {"keyring": keyring, "requestedBy": by, "reason": reason, "dryRun": dry_run, **request.body}
    id_name = "rotationId" if request.path == ROTATIONS else "migrationId"

    async def begin(api: Api) -> None:
        answer = await api.post(request.path, body, {"idempotency-key": request.key or uuid.uuid4().hex})
        run = str(answer[id_name])
        write(answer, as_json=as_json, field=None if as_json else id_name)
        if wait:
            require_good_end(run, await status_of(api, run, poll))
        else:
            echo(started(request.kind, run, dry_run=dry_run), err=True)

    ask(begin)


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
            _start(describe(**{name: given.pop(name) for name in own}), **given)

        # What typer reads.
        command.__signature__ = inspect.Signature([*own.values(), *added])  # type: ignore[attr-defined]  # what typer reads
        command.__annotations__ = {found.name: found.annotation for found in (*own.values(), *added)}
        return command

    return decorate


_SHARED = dict(list(inspect.signature(_start).parameters.items())[1:])


@_starting(dry_run=PreflightOnly)
def rotate(
    snapshot_reference: Annotated[str | None, typer.Option(help="a snapshot of the dek store")] = None,
    force: Annotated[str | None, typer.Option(metavar="WHY", help="start outside the maintenance window")] = None,
    waive: Annotated[list[str] | None, typer.Option(metavar="CHECK=WHY", help="answer for a failing check")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="the same request with the same key is one request")
    ] = None,
) -> Start:
    """Ask for a rotation and write its id."""
    body = {
        "snapshotReference": snapshot_reference,
        "force": {"reason": force} if force else None,
        "waivers": [_waiver(text) for text in waive or []],
    }
    return Start(ROTATIONS, body, idempotency_key, kind="rotation")


def _waiver(text: str) -> dict[str, str]:
    check, separator, why = text.partition("=")
    if not separator or not why:
        raise InvalidRequestError.expected("waive", "CHECK=WHY", named=f"--waive {text}")
    return {"check": check, "why": why}


@app.command("rewrap-deks")
@_starting()
def rewrap_deks(
    new_version: Annotated[str, typer.Option(help="version that the rows are moved onto")],
    old_version: Annotated[str | None, typer.Option(help="only rows under this version")] = None,
) -> Start:
    """Move rows from one version, or from whatever version they are on, onto a version."""
    return Start(MIGRATIONS, {"kind": "rewrap-deks", "newVersion": new_version, "oldVersion": old_version})


@app.command()
@_starting()
def encrypt(container: Containers = None, per: Per = None, max_documents: Most = None) -> Start:
    """Encrypt the fields of existing documents that are stored as plain text."""
    return Start(MIGRATIONS, {"kind": "encrypt", "containers": container, "keyPolicy": _policy(per, max_documents)})


@app.command("re-encrypt")
@_starting()
def re_encrypt(
    container: Containers = None, target_keyring: Target = None, per: Per = None, max_documents: Most = None
) -> Start:
    """Put every document under a fresh DEK; or with --per, those that do not fit the key policy under one that does."""
    policy = {"keyPolicy": _policy(per, max_documents)}
    return Start(MIGRATIONS, {"kind": "re-encrypt", "containers": container, "targetKeyring": target_keyring, **policy})


def _policy(per: str | None, max_documents: int | None) -> dict[str, Any] | None:
    given = {"per": per, "maxDocuments": max_documents}
    return {name: value for name, value in given.items() if value is not None} or None


@app.command("decrypt-check")
@_starting(dry_run=None)
def decrypt_check(container: Containers = None) -> Start:
    """Decrypt every document and change nothing."""
    return Start(MIGRATIONS, {"kind": "decrypt-check", "containers": container})


@_starting()
def reencrypt(
    keyring: Annotated[str, typer.Option(help="whose MEK was lost; one that can be read again")],
    target_keyring: Annotated[str, typer.Option(help="another keyring, with the new MEK")],
    snapshot_reference: Annotated[str, typer.Option(help="the snapshot that the documents were restored from")],
    container: Containers = None,
) -> Start:
    """Recover from a lost MEK: new DEK and new ciphertext for every document of a restored snapshot."""
    body = {"containers": container, "targetKeyring": target_keyring, "snapshotReference": snapshot_reference}
    return Start(REENCRYPTIONS, {"keyring": keyring, **body})


@_starting(keyring=None, dry_run=LookOnly)
def rollback(run_id: Annotated[str, typer.Argument(help="the rotation to take back")]) -> Start:
    """Move the rows of a rotation back to where they came from, and write the migration's id."""
    return Start(f"{ROTATIONS}/{quote(run_id, safe='')}/rollback", {}, kind="rollback")


@_starting(dry_run=LookOnly)
def restore() -> Start:
    """Move rows that name disabled versions onto the current one, once that is approved; write the migration's id."""
    return Start(RESTORES, {}, kind="restore")
