"""``capacity``: the tables of times and costs, as docs/operations.md shows them."""

from typing import Annotated

import typer

from keyturn.cli.outcome import exit_codes
from keyturn.errors import InvalidRequestError


def capacity(
    name: Annotated[str | None, typer.Argument(help="sweep, rotation, work, cost or vaults; without, all")] = None,
) -> None:
    """Print how long rotations take and what they cost, from pre-flight's own model."""
    from keyturn.capacity import TABLES

    with exit_codes():
        if name is not None and name not in TABLES:
            expected = f"one of {', '.join(TABLES)}"
            raise InvalidRequestError(f"NAME: expected {expected}", field="NAME", expected=expected)
        for title in TABLES if name is None else [name]:
            typer.echo(f"<!-- capacity {title} -->\n{TABLES[title]()}\n<!-- end -->\n")
