"""``restore-rows``: rows of the dek store, copied back from the account into which a backup was restored.

It asks both accounts and the vault itself, with the app's settings in the environment and as whoever is signed in.
"""

import os
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from keyturn.cli.in_process import run_here
from keyturn.cli.output import AsJson, echo, write
from keyturn.cli.rotations import Keyring, Reason, of_keyring
from keyturn.errors import OUTCOMES, InvalidRequestError, RowsLeftError, WrongStateError

if TYPE_CHECKING:
    from keyturn.migrations.restore_rows import Compared

# Exit codes: a restore comes next; rows are left.
RETIRED, LEFT = OUTCOMES[WrongStateError].exit_code, OUTCOMES[RowsLeftError].exit_code

# By how a row here stands to the one there: in words, and what becomes of it.
_WORDS = {
    "missing": ("no row here", "created"),
    "damaged": ("does not open here", "overwritten"),
    "same": ("the same", ""),
    "newer": ("another one, which opens here", ""),
    "retired": ("another one, of a retired version", ""),
    "present": ("there, and not compared", ""),
    "foreign": ("of another key", ""),
}


def restore_rows(
    source: Annotated[str, typer.Option("--from", metavar="ENDPOINT", help="URL of the account to copy from")],
    container: Annotated[str | None, typer.Option(help="the dek store there; its name here, unless given")] = None,
    database: Annotated[str | None, typer.Option(help="where it is there; its name here, unless given")] = None,
    ids: Annotated[list[str] | None, typer.Option(metavar="ID", help="only this row; may be given again")] = None,
    keyring: Keyring = None,
    reason: Reason = "",
    *,
    missing: Annotated[bool, typer.Option("--missing", help="only rows that are missing here: compares no others")] = (
        False
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compare and show; change nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy rows of the dek store that are missing or damaged back from another account.

    A row that opens here is never overwritten. May be killed, and run again. Ends with 0; with 73 where rows name
    retired versions, which `keyturn restore` moves next; with 65 where rows are left that cannot be had from there.
    """
    if ids and missing:
        raise InvalidRequestError.expected("ids", "rows by id, or --missing: not both", named="--ids")
    compared = run_here(
        _restore(source, container, database, ids or None, keyring, reason, missing=missing, dry_run=dry_run)
    )
    if as_json:
        write(_payload(compared), as_json=True)
    else:
        _show(compared, keyring, dry_run=dry_run)
    if compared.left or compared.absent:
        raise typer.Exit(LEFT)
    if compared.retired:
        raise typer.Exit(RETIRED)


async def _restore(
    endpoint: str,
    container: str | None,
    database: str | None,
    ids: list[str] | None,
    keyring_name: str | None,
    reason: str,
    *,
    missing: bool,
    dry_run: bool,
) -> "Compared":
    from keyturn.access.identity import identity_in
    from keyturn.cosmos.client import open_account
    from keyturn.migrations.restore_rows import Wanted, restore_rows
    from keyturn.resources import Resources
    from keyturn.settings import load_settings
    from keyturn.settings.keyring import same_vault

    settings = load_settings(dict(os.environ))
    keyring = settings.keyring(keyring_name)
    container, database = container or keyring.dek_container, database or keyring.cosmos_database
    if container in {found.name for found in keyring.documents}:
        expected = "the dek store: documents are not copied back, only rows"
        raise InvalidRequestError.expected("container", expected, named="--container")
    there, here = urlsplit(endpoint), urlsplit(settings.cosmos_endpoint)
    if there.scheme != "https" or there.hostname is None or same_vault(endpoint, settings.cosmos_endpoint):
        expected = "the URL of another account, as https://<name>.documents.azure.com:443/"
        raise InvalidRequestError.expected("from", expected, named="--from")
    async with AsyncExitStack() as stack:
        resources = await Resources.open(settings)
        stack.push_async_callback(resources.close)
        scope = f"{here.scheme}://{here.hostname}/.default"  # as the SDK asks for it
        operator = identity_in((await resources.credential.get_token(scope)).token)
        account = await open_account(endpoint, resources.credential)
        stack.push_async_callback(account.close)
        wanted = Wanted(
            source=account.get_database_client(database).get_container_client(container),
            name=f"{there.scheme}://{there.netloc}/dbs/{database}/colls/{container}",
            ids=ids,
            missing_only=missing,
            dry_run=dry_run,
        )
        tell = partial(echo, err=True)
        await resources.correct_clock(tell)
        return await restore_rows(
            resources, resources.keyring(keyring.name), wanted, operator, reason=reason, tell=tell
        )


def _payload(compared: "Compared") -> dict[str, object]:
    return {
        "migrationId": compared.run_id,
        "found": dict(compared.found),
        "copied": dict(compared.copied),
        "named": compared.named,
        "retiredVersions": sorted(compared.retired),
        "left": [row.to_payload() for row in compared.left],
        "absent": compared.absent,
    }


def _show(compared: "Compared", keyring: str | None, *, dry_run: bool) -> None:
    for found, count in sorted(compared.found.items()):
        words, done = _WORDS[found]
        became = f"{compared.copied[found]} {'would be ' if dry_run else ''}{done}" if done else "stay as they are"
        echo(f"{found:8} {count:>9}  {words:34}  {became}")
    for row_id, found in sorted(compared.named.items()):
        echo(f"  {row_id}  {found}")
    for row in compared.left:
        echo(f"left: {row.id}  {row.reason}", err=True)
    for row_id in compared.absent:
        echo(f"left: {row_id}  the other account has no such row", err=True)
    if compared.run_id is not None:
        echo(f"record: {compared.run_id}", err=True)
    if compared.retired:
        following = of_keyring("keyturn restore", keyring)
        echo(f"retired versions: {', '.join(sorted(compared.retired))}; next: {following}", err=True)
