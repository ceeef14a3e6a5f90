"""``audit``: work with the audit chain of a rotation."""

import asyncio
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from keyturn.audit.chain import Head
from keyturn.audit.verify import verify_chain
from keyturn.cli.api import Api
from keyturn.cli.outcome import exit_codes
from keyturn.errors import BrokenChainError, InvalidRequestError
from keyturn.rotation.links import ROTATIONS

app = typer.Typer(help="The audit chain of a rotation.", no_args_is_help=True)


@app.command()
def export(rotation_id: Annotated[str, typer.Argument(help="whose chain")]) -> None:
    """Write a rotation's chain as JSON Lines."""
    with exit_codes():
        typer.echo(asyncio.run(_export(rotation_id)), nl=False)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="JSON Lines: an export, or what a receiver of the events has stored")],
    *,
    head: Annotated[
        str | None, typer.Option(metavar="SEQ:HASH", help="head that was written down, as in the key version's tag")
    ] = None,
) -> None:
    """Recompute the chain offline and name the first broken link."""
    with exit_codes():
        anchor = Head.parse(head) if head is not None else None
        verified = verify_chain(_lines(file), anchor)
        if (broken := verified.broken) is not None:
            raise BrokenChainError(
                f"line {broken.line}, event {broken.sequence}: {broken.problem}: {broken.detail}", **broken.to_payload()
            )
        typer.echo(f"{verified.rotation_id}: {verified.events} events, unbroken, head {verified.head}")
        if anchor is None:
            typer.echo("without --head, events missing at the end or a chain written anew would not show", err=True)


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines()
    except OSError as error:
        expected = "a file that can be read"
        raise InvalidRequestError(f"{file}: {error.strerror}", field="FILE", expected=expected) from error


async def _export(rotation_id: str) -> bytes:
    async with Api() as api:
        return await api.get_bytes(f"{ROTATIONS}/{quote(rotation_id, safe='')}/audit")
