"""``audit``: work with the audit chain of a run."""

import asyncio
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.client import ask
from keyturn.cli.key_backup import keyring_resources
from keyturn.cli.output import echo
from keyturn.cli.rotations import Keyring, Run, path_of
from keyturn.errors import InvalidRequestError, ResourceMissingError, UnprovenEndError
from keyturn.ids import keyring_of

if TYPE_CHECKING:
    from keyturn.audit.chain import Head

app = typer.Typer(help="The audit chain of a run, and what can be filed.", no_args_is_help=True)


@app.command()
def export(run: Run) -> None:
    """Write the chain of a rotation or of a migration as JSON Lines."""
    typer.echo(ask(lambda api: api.get_bytes(f"{path_of(run)}/audit")), nl=False)


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines: an export, or what a receiver of the events has stored; or a bundle")
    ],
    *,
    head: Annotated[
        str | None, typer.Option(metavar="SEQ:HASH", help="head that was written down, as in the key version's tag")
    ] = None,
    head_from_vault: Annotated[
        bool, typer.Option("--head-from-vault", help="take the head from the key version's tag, as you")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="report of the same run, whose evidence is hashed again")
    ] = None,
) -> None:
    """Recompute a chain, or every chain of a bundle, offline and name the first broken link.

    Ends with 79 where everything holds but no head says that the chain ends where it should.
    """
    from keyturn.audit.chain import Head
    from keyturn.cli.filing import Filed, is_bundle, read_bundle

    if head is not None and head_from_vault:
        raise InvalidRequestError.expected("head", "--head or --head-from-vault, not both", named="--head")
    if is_bundle(file):
        if head is not None or report is not None:
            raise InvalidRequestError.expected("file", "a chain: a bundle brings its own reports", named="FILE")
        filed = read_bundle(file)
    else:
        lines = _read(file).splitlines()
        filed = [Filed(lines, None if report is None else _read(report), str(file))]
    unproven = None
    for one in filed:
        anchor = Head.parse(head) if head is not None else None
        if head_from_vault:
            anchor = asyncio.run(_head_from_vault(one))
        verified = one.verify(anchor)
        echo(f"{verified.run_id}: {verified.events} events, unbroken, head {verified.head}")
        if one.report is not None:
            echo(f"evidence {one.evidence_digest()}: as it was frozen")
        if anchor is None:
            unproven = verified
    if unproven is not None:
        text = "unbroken; its end is not proven: events missing at the end, or a chain written anew, would not show"
        files = " ".join([quote(str(file)), *([f"--report {quote(str(report))}"] if report is not None else [])])
        hint = f"keyturn audit verify {files} --head-from-vault"
        hint += "" if is_bundle(file) else "; or --head with the head that a message ends with"
        raise UnprovenEndError(text, hint=hint, rotationId=unproven.run_id, head=unproven.head)


@app.command()
def bundle(
    year: Annotated[int, typer.Option(min=2000, max=9999, help="of the requests, in UTC")],
    output: Annotated[Path, typer.Option(help="where to write the ZIP archive; must not exist")],
    keyring: Keyring = None,
) -> None:
    """Write a year of a keyring into one archive: reports, chains, heads, and a manifest with the hash of each file."""
    from keyturn.cli.filing import collect, write_bundle

    named, runs = ask(lambda api: collect(api, keyring, year))
    write_bundle(output, keyring=named, year=year, runs=runs)
    echo(f"{output}: {len(runs)} runs of {named} in {year}")
    echo(f"verify it: keyturn audit verify {quote(str(output))} --head-from-vault", err=True)


async def _head_from_vault(filed: Any) -> "Head":
    """Return the head that the vault has of this chain; raises ResourceMissingError where it has none."""
    from keyturn.runs.audit import anchored_head

    run_id = filed.run_id
    async with keyring_resources(keyring_of(run_id)) as resources:
        found = await anchored_head(resources.versions, run_id, filed.version)
    if found is None:
        text = f"no version of the key has a head of {run_id} in its tags"
        raise ResourceMissingError(
            text, resource="MEK", hint=f"keyturn audit verify {quote(filed.name)} --head SEQ:HASH"
        )
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        expected = "a file that can be read"
        raise InvalidRequestError(f"{file}: {error.strerror}", field="FILE", expected=expected) from error
