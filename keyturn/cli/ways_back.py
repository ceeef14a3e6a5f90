"""``rollback`` and ``restore``: take a rotation back, or make rows readable that came back from a backup."""

import asyncio
from typing import Annotated
from urllib.parse import quote

import typer

from keyturn.cli.outcome import exit_codes
from keyturn.cli.output import AsJson
from keyturn.cli.runs import POLL_SECONDS, By, Keyring, Poll, Reason, Wait, begin
from keyturn.rotation.links import ROTATIONS

RESTORES = "/api/restores"

DryRun = Annotated[bool, typer.Option("--dry-run", help="look, change nothing")]


def rollback(
    rotation_id: Annotated[str, typer.Argument(help="the rotation to take back")],
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Move the rows of a rotation back to where they came from, and write the migration's id."""
    body = {"requestedBy": by, "reason": reason, "dryRun": dry_run}
    path = f"{ROTATIONS}/{quote(rotation_id, safe='')}/rollback"
    with exit_codes():
        asyncio.run(begin(path, body, "migrationId", poll=poll if wait else None, as_json=as_json))


def restore(
    keyring: Keyring = None,
    by: By = None,
    reason: Reason = "",
    poll: Poll = POLL_SECONDS,
    *,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Move rows that name disabled versions onto the current one, once that is approved; write the migration's id."""
    body = {"keyring": keyring, "requestedBy": by, "reason": reason, "dryRun": dry_run}
    with exit_codes():
        asyncio.run(begin(RESTORES, body, "migrationId", poll=poll if wait else None, as_json=as_json))
