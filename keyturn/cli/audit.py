"""``audit``: work with the audit chain of a run."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.client import ask
from keyturn.cli.in_process import run_here
from keyturn.cli.key_backup import keyring_resources
from keyturn.cli.output import echo
from keyturn.cli.rotations import Keyring, Run, path_of
from keyturn.contracts.characters import counted
from keyturn.errors import InvalidRequestError, UnprovenEndError
from keyturn.ids import keyring_of

if TYPE_CHECKING:
    from keyturn.audit.chain import Head
    from keyturn.cli.filing import Filed

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

    Ends with 79 where everything holds but no head says that a chain ends where it should.
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
        filed = [Filed(lines, None if report is None else _read(report))]
    for one in filed:
        one.verify()
    anchors = {filed[0].run_id: Head.parse(head)} if head is not None else {}
    if head_from_vault:
        anchors = run_here(_heads_from_vault(filed))
    for one in filed:
        verified = one.verify(anchor := anchors.get(one.run_id))
        proven = "" if anchor is None else f", proven up to event {anchor.sequence}"
        echo(f"{one.run_id}: {verified.events} events, unbroken, head {verified.head}{proven}")
        if one.report is not None:
            echo(f"evidence {one.evidence_digest()}: as it was frozen")
    if unproven := [one.run_id for one in filed if one.run_id not in anchors]:
        raise _unproven(file, report, unproven, asked=head_from_vault)


def _unproven(file: Path, report: Path | None, runs: list[str], *, asked: bool) -> UnprovenEndError:
    text = "unbroken; its end is not proven: events missing at the end, or a chain written anew, would not show"
    files = " ".join([quote(str(file)), *([f"--report {quote(str(report))}"] if report is not None else [])])
    hint = f"keyturn audit verify {files} --head-from-vault"
    if asked:
        text += f". No version of the key has a head of {', '.join(runs)}"
        hint = "compare each head above with the one at the end of the last message about the run"
    return UnprovenEndError(text, rotationId=runs[0], hint=hint)


@app.command()
def bundle(
    year: Annotated[int, typer.Option(min=2000, max=9999, help="of the requests, in UTC")],
    output: Annotated[
        Path | None, typer.Option(help="the ZIP archive, which must not exist; KEYRING-YEAR.zip here, unless given")
    ] = None,
    keyring: Keyring = None,
) -> None:
    """Write a year of a keyring into one archive: reports, chains, heads, and a manifest with the hash of each file."""
    from keyturn.cli.filing import collect, write_bundle

    named, runs = ask(lambda api: collect(api, keyring, year))
    output = output or Path(f"{named}-{year}.zip")
    write_bundle(output, keyring=named, year=year, runs=runs)
    echo(f"{output}: {counted(len(runs), 'run')} of {named} in {year}")
    echo(f"verify it: keyturn audit verify {quote(str(output))} --head-from-vault", err=True)


async def _heads_from_vault(filed: "Sequence[Filed]") -> "dict[str, Head]":
    """Return the heads that the vault has of these chains, which were verified, by their runs.

    It has none of a run that made no version, of one whose version another adopted, of any migration but the newest.
    """
    from keyturn.runs.audit import anchored_head

    heads = {}
    for keyring in {keyring_of(one.run_id) for one in filed}:
        async with keyring_resources(keyring) as resources:
            for one in filed:
                if keyring_of(one.run_id) != keyring:
                    continue
                if (head := await anchored_head(resources.versions, one.run_id, one.version)) is not None:
                    heads[one.run_id] = head
    return heads


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        expected = "a file that can be read"
        raise InvalidRequestError(f"{file}: {error.strerror}", field="FILE", expected=expected) from error
