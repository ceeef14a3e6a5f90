"""``diagnose``, ``repair`` and ``orphans``: why something does not open, what helps, and what nothing names."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from keyturn.cli.client import Api, ask
from keyturn.cli.output import AsJson, Field, echo, write
from keyturn.cli.rotations import By, Keyring, Reason
from keyturn.contracts.characters import visible
from keyturn.errors import OUTCOMES, InvalidRequestError, KeyturnError, UnknownKeyringError, WrongStateError

app = typer.Typer(help="Tell why a document or a DEK does not open, and what to do.", no_args_is_help=True)
repairs = typer.Typer(help="Put right what a diagnosis has found.", no_args_is_help=True)

Orphans = Literal["missing-deks", "unused-deks"]
# Asks for a page of a scan with these members of a request.
type AskOrphans = Callable[[dict[str, str | None]], Awaitable[dict[str, Any]]]


@app.command()
def dek(
    dek_id: Annotated[str, typer.Argument(help="as a field names it")],
    keyring: Keyring = None,
    field: Field = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Look at one DEK: its row, its version, its unwrap, its key check. Ends with 73 where it does not open."""
    path = f"/api/deks/{quote(dek_id, safe='')}"
    tell_diagnosis(ask(lambda api: _where_it_is(partial(api.get, path), keyring)), field, as_json=as_json)


@app.command()
def document(
    document_id: Annotated[str, typer.Argument(help="the document's id")],
    container: Annotated[str, typer.Option(help="where it is stored")],
    partition: Annotated[str | None, typer.Option(help="value of its partition key")] = None,
    keyring: Keyring = None,
    field: Field = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Look at every encrypted field of one document. Ends with 73 where one does not open."""
    path, asked = "/api/documents/diagnosis", {"container": container, "id": document_id, "partition": partition}
    tell_diagnosis(ask(lambda api: _where_it_is(partial(api.get, path, **asked), keyring)), field, as_json=as_json)


async def _where_it_is(look: Callable[..., Awaitable[dict[str, Any]]], keyring: str | None) -> dict[str, Any]:
    """Return the keyring's diagnosis; where none of several is named, that of the one whose key it is."""
    from keyturn.diagnosis.models import ELSEWHERE

    refused: KeyturnError
    try:
        return await look(keyring=keyring)
    except UnknownKeyringError as error:
        refused = error
    found: list[dict[str, Any]] = []
    for name in refused.facts.get("known", ()) if keyring is None else ():
        try:
            found.append(await look(keyring=name))
        except InvalidRequestError as error:  # the keyring has no such container
            refused = error
    if not found:
        raise refused
    return min(found, key=lambda one: one["verdict"] in ELSEWHERE)


def tell_diagnosis(found: dict[str, Any], field: str | None, *, as_json: bool) -> None:
    """Write a diagnosis, or one member of it; ends with the exit code of what does not open."""
    from keyturn.diagnosis.models import OPENS

    write(found, as_json=as_json, field=field)
    if found["verdict"] not in OPENS:
        raise typer.Exit(OUTCOMES[WrongStateError].exit_code)


@repairs.command("dek")
def repair_dek(
    dek_id: Annotated[str, typer.Argument(help="whose row does not open")],
    reason: Reason,
    keyring: Keyring = None,
    by: By = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Put a row back on its previous wrap, where that opens and its wrap does not; neither wrap is lost."""
    order = {"keyring": keyring, "requestedBy": by, "reason": reason}
    found = ask(lambda api: api.post(f"/api/deks/{quote(dek_id, safe='')}/repair", order))
    write(found, as_json=as_json)


def orphans(
    what: Annotated[Orphans, typer.Argument(help="documents that name missing DEKs, or DEKs that nothing names")],
    keyring: Keyring = None,
    min_age: Annotated[str, typer.Option(help="ISO 8601: what is younger is left out")] = "PT1H",
    first: Annotated[int | None, typer.Option(min=0, help="list so many, by id; all are counted")] = None,
    pause: Annotated[float, typer.Option(min=0, help="seconds between two calls, each of some 500 items")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Look through everything for orphans; nothing is changed."""
    found = ask(lambda api: scan(orphans_of(api, keyring), what, min_age, pause))
    found["orphans"] = sorted(found["orphans"], key=lambda orphan: str(orphan["dekId"]))[:first]
    if as_json:
        write(found, as_json=True)
        return
    for orphan in found["orphans"]:
        echo("  ".join(visible(str(value)) for value in orphan.values() if value is not None))
    for count in found["counts"]:
        version, days = count["mekVersion"] or "no version", count["olderThanDays"]
        echo(visible(f"{count['rows']} unused under {version}, {days} days old or more"), err=True)
    echo(f"{found['scanned']} looked at, {found['tooYoung']} of them too young", err=True)
    if found["caution"]:
        left_out = f"{found['foreign']} of another key, {found['shared']} unused that writers may take again"
        echo(f"not listed: {left_out}\n{found['caution']}", err=True)


def orphans_of(api: Api, keyring: str | None) -> AskOrphans:
    """Return what asks the app for a page of a keyring's orphans."""
    return lambda query: api.get("/api/orphans", keyring=keyring, **query)


async def scan(ask_page: AskOrphans, what: Orphans, min_age: str, pause: float) -> dict[str, Any]:
    """Look through everything for orphans of this kind, in as many calls as it takes, and return the sums."""
    kind = what.replace("-", "_")
    sums: Counter[str] = Counter()
    unused: Counter[tuple[str | None, int]] = Counter()
    orphans: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = await ask_page({"kind": kind, "minAge": min_age, "token": token})
        sums.update({name: page[name] for name in ("scanned", "tooYoung", "foreign", "shared")})
        unused.update({(count["mekVersion"], count["olderThanDays"]): count["rows"] for count in page["counts"]})
        orphans += page["orphans"]
        token = page["token"]
        if token is None:
            break
        await asyncio.sleep(pause)
    counts = [
        {"mekVersion": version, "olderThanDays": days, "rows": rows}
        for (version, days), rows in sorted(unused.items(), key=lambda entry: (entry[0][0] or "", entry[0][1]))
    ]
    return {"kind": kind, **sums, "orphans": orphans, "counts": counts, "caution": page["caution"]}
