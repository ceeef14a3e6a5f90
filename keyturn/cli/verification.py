"""``verify``: one verdict on a keyring as the store, the vault and the backend are now."""

import asyncio
import json
import shlex
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.diagnosis import AskOrphans, orphans_of, scan
from keyturn.cli.output import AsJson, echo, write
from keyturn.cli.rotations import Keyring
from keyturn.contracts.characters import visible
from keyturn.errors import InvalidRequestError, NotInOrderError, TransientError, UnavailableError

AGAIN_SECONDS = 5.0  # runs hold the vault's budget for about a wave of pages
PATIENCE_SECONDS = 300.0  # from the first failure

Named = Annotated[str | None, typer.Argument(metavar="[KEYRING]", help="may be left out where there is only one")]
Rows = Annotated[int | None, typer.Option(min=1, max=1000, help="open so many rows; 200, unless given")]
MinAge = Annotated[str, typer.Option(help="ISO 8601: younger documents are left out of --all, for lagging replicas")]
All = Annotated[bool, typer.Option("--all", help="open every row, and look through every document for missing DEKs")]

# Asks for a part of a verification with this body.
type AskPart = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Asks(NamedTuple):
    """Who answers: the app, or this process without it."""

    part: AskPart
    orphans: AskOrphans


def verify(
    named: Named = None,
    keyring: Keyring = None,
    rows: Rows = None,
    min_age: MinAge = "PT1M",
    *,
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Count, open, decrypt and ask anew, whatever records say; ends with 73 where something is not in order."""
    keyring = the_one(named, keyring)

    async def asked(api: Api) -> dict[str, Any]:
        path = "/api/verifications" + (f"?keyring={quote(keyring, safe='')}" if keyring is not None else "")
        # As bytes, because a body leaves out what is null, and null rows are all of them.
        asks = Asks(lambda body: api.post(path, json.dumps(body).encode()), orphans_of(api, keyring))
        return await verification(asks, rows=rows, everything=everything, min_age=min_age)

    tell(ask(asked), as_json=as_json)


def the_one(named: str | None, option: str | None) -> str | None:
    """Return the keyring, which is named as other commands have it, or alone; raises InvalidRequestError for two."""
    if named is not None and option is not None and named != option:
        raise InvalidRequestError.expected("keyring", f"the same as the first, {named}", named=f"--keyring {option}")
    return named if option is None else option


async def verification(asks: Asks, *, rows: int | None, everything: bool, min_age: str) -> dict[str, Any]:
    """Ask for every part, and for the rest of it where there is one; raises what the last attempt at one raised."""
    results: list[dict[str, Any]] = []
    opened, query, keyring = 0, None, ""
    for part in ("census", "rows", "documents", "probes"):
        body: dict[str, Any] = {"part": part}
        if part == "rows":
            body |= {"rows": None} if everything else {"rows": rows} if rows else {}
        while True:
            answer = await _with_retries(asks.part, body)
            keyring, query = answer["keyring"], query or answer["query"]
            opened += answer["opened"]
            results += [one for one in answer["results"] if part != "rows" or one["outcome"] != "ok"]
            if answer["token"] is None:
                break
            body["token"] = answer["token"]
    if everything:
        missing = await scan(asks.orphans, "missing-deks", min_age, 0)
        results += [_orphan(one, keyring) for one in missing["orphans"]]
    return {"keyring": keyring, "opened": opened, "query": query, "results": results}


async def _with_retries(ask_part: AskPart, body: dict[str, Any]) -> dict[str, Any]:
    began, said = None, ""
    while True:
        try:
            return await ask_part(body)
        except TransientError as error:
            began = began or time.monotonic()
            left = began + PATIENCE_SECONDS - time.monotonic()
            if left <= 0:
                raise
            if error.message != said:  # once, and not at each try
                said, until = error.message, datetime.now(UTC) + timedelta(seconds=left)
                echo(f"{said}: asking again every {AGAIN_SECONDS:.0f} s until {until:%H:%M:%S} UTC", err=True)
                if error.hint and isinstance(error, UnavailableError):
                    echo(f"hint: {error.hint}", err=True)
            await asyncio.sleep(AGAIN_SECONDS)


def tell(found: dict[str, Any], *, as_json: bool) -> None:
    """Write what was found; raises NotInOrderError where something is not in order."""
    wrong = [one for one in found["results"] if one["outcome"] != "ok"]
    if as_json:
        write(found, as_json=True)
    else:
        for one in found["results"]:
            subject = f" {one['subject']}" if one["subject"] else ""
            echo(visible(f"{'pass' if one['outcome'] == 'ok' else 'FAIL'}  {one['id']}{subject}: {one['detail']}"))
            if one["outcome"] != "ok" and one["advice"]:
                echo(visible(f"      do: {one['advice']}"))
        echo(f"pass  rows: {found['opened']} opened, and fit their key checks")
        echo("in Data Explorer, the rows that are not on the current version:", err=True)
        echo(found["query"], err=True, whole=True)
    keyring = found["keyring"]
    if wrong:
        text = f"{keyring} is not in order: {len(wrong)} of what was verified failed"
        raise NotInOrderError(text, keyring=keyring, failed=sorted({one["id"] for one in wrong}))
    echo(f"{keyring} is in order", err=True)


def _orphan(found: dict[str, Any], keyring: str) -> dict[str, Any]:
    """Return a document that names a missing DEK as a result."""
    look = f"keyturn diagnose dek {shlex.quote(found['dekId'])} --keyring {keyring}"
    detail = f"names {found['dekId']}, which the store lacks"
    subject = f"{found['container']}/{found['documentId']}"
    return {"id": "orphan", "subject": subject, "outcome": "problem", "detail": detail, "advice": look}
