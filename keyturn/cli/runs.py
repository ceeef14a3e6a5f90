"""Commands that look: ``status``, ``report`` and ``list`` of runs, and ``keyrings``."""

import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.output import AsJson, Field, echo, write
from keyturn.cli.report_view import report_parts
from keyturn.cli.rotations import POLL_SECONDS, Keyring, Poll, Run, Wait, of_keyring, path_of
from keyturn.cli.status_view import run_of, status_lines
from keyturn.cli.tables import command_lines, facts, from_now, heading, moment, show, wrapped
from keyturn.cli.waiting import require_good_end, status_of
from keyturn.contracts.characters import counted
from keyturn.errors import UnknownKeyringError, UnknownRotationError
from keyturn.ids import MIGRATIONS, ROTATIONS

LISTED_MAX = 50  # of each kind, as the app lists them
_FIRST_RUN = "start one that changes nothing: keyturn rotate --dry-run"

Newest = Annotated[
    str | None, typer.Argument(help="id of a rotation or of a migration; the active or the latest, unless given")
]
Html = Annotated[
    Path | None, typer.Option("--html", help="write it into this file, as a page that verifies itself; must not exist")
]
Full = Annotated[bool, typer.Option("--full", help="write all of the app's answer")]


def status(
    run: Newest = None,
    keyring: Keyring = None,
    field: Field = None,
    poll: Poll = POLL_SECONDS,
    *,
    full: Full = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Tell where a rotation or a migration stands, and what to do next."""

    async def look(api: Api) -> dict[str, Any]:
        named = run or run_of(await latest(api, keyring))
        return await status_of(api, named, poll if wait else None)

    found = ask(look)
    if full or as_json or field is not None:
        write(found, as_json=as_json, field=field)
    else:
        for line in status_lines(found):
            echo(line)
    if wait:
        require_good_end(run or run_of(found), found)


async def latest(api: Api, keyring: str | None) -> dict[str, Any]:
    """Return the keyring's run under way, or its newest; raises UnknownRotationError where it never had one."""
    listed = await _listed(api, keyring, 1)
    if not listed:
        raise UnknownRotationError(
            "the keyring has had no run yet", hint=of_keyring(_FIRST_RUN, keyring), keyring=keyring
        )
    return next((found for found in listed if not found.get("endedAt")), listed[0])


async def of_each[T](
    listed: Callable[[str | None], Awaitable[list[T]]], keyring: str | None
) -> dict[str | None, list[T]]:
    """Return what is listed of the keyring; of each, where none is named: hints that lead here name none."""
    try:
        return {keyring: await listed(keyring)}
    except UnknownKeyringError as error:
        if keyring is not None:
            raise
        return {name: await listed(name) for name in error.facts.get("known", ())}


def _requested(run: dict[str, Any]) -> str:
    return str(run["requestedAt"])


async def _listed(api: Api, keyring: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the keyring's newest rotations and migrations, so many of each, newest first."""
    found: list[dict[str, Any]] = []
    for path in (ROTATIONS, MIGRATIONS):
        page = await api.get(path, keyring=keyring, limit=str(limit))
        found += page[path.rpartition("/")[2]]
    return sorted(found, key=_requested, reverse=True)


def report(run: Run, field: Field = None, html: Html = None, *, as_json: AsJson = False) -> None:
    """Tell everything that is known about a rotation or a migration; as JSON, it can be kept and verified."""
    if html is not None:
        from keyturn.cli.html_report import file_report

        file_report(run, html)
        return
    found = ask(lambda api: api.get(f"{path_of(run)}/report"))
    if as_json or field is not None:
        write(found, as_json=as_json, field=field)
    else:
        show(*report_parts(found))


def list_runs(
    keyring: Keyring = None,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="how many, at most")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List rotations and migrations together, newest first."""
    each = ask(lambda api: of_each(lambda name: _listed(api, name, limit), keyring))
    found = sorted((run for runs in each.values() for run in runs), key=_requested, reverse=True)[:limit]
    if as_json:
        write({"runs": found}, as_json=True)
        return
    if not found:
        echo(f"no run yet; {of_keyring(_FIRST_RUN, next(iter(each)))}", err=True)
    for run in found:
        dry = " (dry run)" if run.get("dryRun") else ""
        echo(f"{run_of(run)}  {run.get('kind') or 'rotation'}{dry}  {run['state']}")
        ended = f" to {moment(run['endedAt'])}" if run.get("endedAt") else ""
        told = f"{moment(run['requestedAt'])}{ended}, {counted(run.get('rows', 0), 'row')}, by {run.get('requestedBy')}"
        for line in wrapped("", told, 2, 0):
            echo(line)


def keyrings(field: Field = None, *, as_json: AsJson = False) -> None:
    """Tell of every keyring which version is in force, when it is due, whether it is overdue, and what is astray."""
    found = ask(lambda api: api.get("/api/keyrings"))
    if as_json or field is not None:
        write(found, as_json=as_json, field=field)
        return
    for keyring in found["keyrings"]:
        show(heading(keyring["keyring"]), facts(_standing(keyring)))
        if mend := (keyring.get("drift") or {}).get("mend"):
            echo("to move them onto the version in force:")
            for line in command_lines("", shlex.split(mend), 0):
                echo(line)


def _standing(keyring: dict[str, Any]) -> list[tuple[str, str]]:
    made, last = keyring.get("versionCreatedOn"), keyring.get("lastRotation") or {}
    due = keyring["nextOccurrence"]
    return [
        ("version", keyring.get("version") or "not known"),
        ("made", f"{moment(made)}, {from_now(made)}" if made else "not known"),
        ("next due", f"{moment(due)}, {from_now(due)}"),
        ("overdue", {True: "YES", False: "no"}.get(keyring["overdue"], "not looked at yet")),
        ("drift", _drift(keyring.get("drift"))),
        ("last rotation", f"{run_of(last)} {last['state']}" if last else "none"),
        ("active run", keyring.get("activeRun") or "none"),
    ]


def _drift(drift: dict[str, Any] | None) -> str:
    if drift is None:
        return "not looked at yet"
    if drift.get("since") is None:
        return f"none, as of {moment(drift.get('at'))}"
    rows, enabled = sum(drift.get("rows", {}).values()), len(drift.get("enabled", []))
    said = f"{counted(rows, 'row')} unreadable, {counted(enabled, 'retired version')} enabled"
    return f"{said}, since {moment(drift['since'])}"
