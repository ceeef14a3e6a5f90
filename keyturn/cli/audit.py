"""``audit``: work with the audit chain of a run."""

from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.client import ask
from keyturn.cli.output import echo
from keyturn.cli.rotations import Run, path_of
from keyturn.errors import BrokenChainError, EvidenceAlteredError, InvalidRequestError

app = typer.Typer(help="The audit chain of a run.", no_args_is_help=True)


@app.command()
def export(run: Run) -> None:
    """Write the chain of a rotation or of a migration as JSON Lines."""
    typer.echo(ask(lambda api: api.get_bytes(f"{path_of(run)}/audit")), nl=False)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="JSON Lines: an export, or what a receiver of the events has stored")],
    *,
    head: Annotated[
        str | None, typer.Option(metavar="SEQ:HASH", help="head that was written down, as in the key version's tag")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="report of the same run, whose evidence is hashed again")
    ] = None,
) -> None:
    """Recompute the chain offline and name the first broken link."""
    from keyturn.audit.chain import Head
    from keyturn.audit.verify import verify_chain

    anchor = Head.parse(head) if head is not None else None
    lines = _lines(file)
    verified = verify_chain(lines, anchor)
    if (broken := verified.broken) is not None:
        raise BrokenChainError(
            f"line {broken.line}, event {broken.sequence}: {broken.problem}: {broken.detail}", **broken.to_payload()
        )
    echo(f"{verified.run_id}: {verified.events} events, unbroken, head {verified.head}")
    if report is not None:
        echo(f"evidence {_evidence(report, lines)}: as it was frozen")
    if anchor is None:
        echo("without --head, events missing at the end or a chain written anew would not show", err=True)


def _evidence(report: Path, chain: list[bytes]) -> str:
    """Return the digest of the report's evidence; raises EvidenceAlteredError unless the chain froze that very one."""
    from keyturn.audit.events import TYPES, EvidenceFrozen
    from keyturn.contracts.base import read_json
    from keyturn.runs.record import digest_of

    events = [read_json(line) for line in chain]
    frozen = [event["data"]["digest"] for event in events if event["type"] == TYPES[EvidenceFrozen]]
    try:
        evidence = read_json(b"\n".join(_lines(report)))["record"]["evidence"]
        found = digest_of(evidence)
    except (ValueError, LookupError, TypeError) as error:
        raise InvalidRequestError.expected("report", "the report of a run with evidence, as JSON") from error
    if found not in frozen[-1:]:
        text = "the report's evidence is not what the chain froze last"
        raise EvidenceAlteredError(text, evidenceDigest=frozen[-1] if frozen else None, found=found)
    return found


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines()
    except OSError as error:
        expected = "a file that can be read"
        raise InvalidRequestError(f"{file}: {error.strerror}", field="FILE", expected=expected) from error
