"""What commands show to people: at most 80 columns, wrapped and never cut unsaid; plain where no terminal is.

Names, reasons and details are others' texts, so everything that is shown goes through ``visible``.
"""

import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from keyturn.contracts.characters import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH, WIDTH_MIN = 80, 40
MORE = " ... (--full)"  # ends a text that was cut
_BAR = 16
_COMMAND = re.compile(r": (?=(?:keyturn|az) )")  # ends what is said before one
_NAMED = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)")  # what stands before a gap: a mark, a name, an id
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))


def width(*, err: bool = False) -> int:
    """Return how many columns there are to write on: 80, or the terminal's where it has fewer."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return WIDTH
    found = shutil.get_terminal_size((0, 0)).columns or os.get_terminal_size(stream.fileno()).columns
    return max(WIDTH_MIN, min(WIDTH, found or WIDTH))


def console() -> "Console":
    """Return where people are shown something; in colours on a terminal only."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    plain: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
    return Console(width=width(), force_terminal=terminal, color_system="auto" if terminal else None, **plain)


def show(*parts: "RenderableType") -> None:
    """Write the parts below one another."""
    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    with target.capture() as captured:
        target.print(*parts, sep="\n")
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def heading(text: str) -> "RenderableType":
    """Return a heading, with an empty line before it."""
    from rich.text import Text

    return Text(f"\n{visible(text)}", style="bold")


def facts(pairs: Iterable[tuple[str, str | None]]) -> "RenderableType":
    """Return names with their values, which are wrapped; without those that have none."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(Text(name, style="dim"), Text(visible(value)))
    return grid


def table(names: Iterable[str], rows: Iterable[Iterable[object]], *, whole: int = 0) -> "RenderableType":
    """Return a table whose cells are wrapped, but for the first ``whole`` columns, which hold short names."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        made.add_column(name, overflow="fold", no_wrap=number < whole)
    for row in rows:
        made.add_row(*(Text("" if cell is None else visible(str(cell))) for cell in row))
    return made


def wrapped(name: str, text: str, indent: int, lines_max: int) -> list[str]:
    """Return a name and its text in lines; a text that needs more of them ends by saying so."""
    inside = width() - indent
    placeholder = MORE if lines_max else ""
    found = textwrap.wrap(
        visible(text), inside, max_lines=lines_max or None, placeholder=placeholder, break_on_hyphens=False
    )
    heads = [name, *[""] * len(found)]
    return [f"{head.ljust(indent)}{line}".rstrip() for head, line in zip(heads, found or [""], strict=False)]


def command_lines(name: str, command: Iterable[str], indent: int) -> list[str]:
    """Return a name and a command that can be pasted: a line that is too long goes on after a backslash."""
    words = [visible(shlex.quote(word)) for word in command]
    units, columns = [words[0]], width() - len(" \\")
    for word in words[1:]:
        # An option stays beside its value.
        beside = units[-1].startswith("--") and " " not in units[-1] and not word.startswith("-")
        if beside and len(f"  {units[-1]} {word}") <= columns:
            units[-1] += f" {word}"
        else:
            units.append(word)
    lines, line = list[str](), f"{name.ljust(indent)}{units[0]}"
    for unit in units[1:]:
        if len(line) + 1 + len(unit) > columns:
            lines.append(f"{line} \\")
            line = f"  {unit}"
        else:
            line = f"{line} {unit}"
    return [*lines, line]


def message_lines(text: str, columns: int) -> list[str]:
    """Return a line in as many as it takes; a command that does not fit has one of its own, which can be pasted."""
    if len(text) > columns and _COMMAND.search(text):
        lines = list[str]()
        for part in text.split("; "):
            before, *command = _COMMAND.split(part, maxsplit=1)
            lines += _folded(f"{before}:" if command else part, columns)
            lines += [f"  {one}" for one in command]  # whole: a terminal's own break is not pasted
        return lines
    return _folded(text, columns)


def _folded(text: str, columns: int) -> list[str]:
    """Return a line broken at spaces, the rest of it below what stands after its first gap; no word is broken."""
    if len(text) <= columns:
        return [text]
    start, indent = _NAMED.match(text), len(text) - len(text.lstrip())
    if start is not None:
        indent = start.end() if start.end() <= columns // 2 else indent + 2
    below = " " * max(0, min(indent, columns - max(map(len, text.split()), default=0)))
    return textwrap.wrap(
        text, columns, subsequent_indent=below, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )


def bar(percent: float) -> str:
    """Return a bar of 16 marks, as full as the percentage says."""
    full = round(_BAR * max(0.0, min(100.0, percent)) / 100)
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def moment(text: str | None) -> str:
    """Return an ISO 8601 time in UTC, to the minute; what is none is returned as it is."""
    found = _time(text)
    return text or "" if found is None else f"{found:%Y-%m-%d %H:%M} UTC"


def from_now(text: str | None) -> str:
    """Return how far a time is from now: ``in 2 d 3 h`` or ``5 min ago``; nothing for what is no time."""
    if (found := _time(text)) is None:
        return ""
    left = found - datetime.now(UTC)
    return f"in {span(left)}" if left > timedelta(0) else f"{span(-left)} ago"


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units; below a minute in seconds."""
    parts = list[str]()
    for unit, size in _UNITS:
        count, length = divmod(length, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or f"{length.total_seconds():.0f} s"


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
