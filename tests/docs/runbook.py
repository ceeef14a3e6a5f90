"""A runbook as tests read it: the blocks of each section, the commands in them, and its tables."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.end_to_end.command_line import REPOSITORY

RUNBOOKS = REPOSITORY / "docs" / "runbooks"

_HEADING = re.compile(r"^#{2,3} (.+)$")
_CELL = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced block: the section that it stands in, its language, and the number of its first line in the page."""

    section: str
    language: str
    line: int
    text: str


class Runbook:
    """One runbook; ``folder`` is where its page is, which is docs/runbooks."""

    def __init__(self, name: str, folder: Path = RUNBOOKS) -> None:
        self.path: Path = folder / name
        self.text = self.path.read_text()

    def fenced(self) -> list[Block]:
        """Return every fenced block, from the top; one inside a list without the list's indentation."""
        found: list[Block] = []
        section, language, first, indentation = "", "", 0, ""
        held: list[str] = []
        for number, line in enumerate(self.text.splitlines(), 1):
            if not first and line.lstrip().startswith("```"):
                indentation, _, language = line.partition("```")
                first, held = number + 1, []
            elif first and line == f"{indentation}```":
                found.append(Block(section, language, first, "".join(f"{each}\n" for each in held)))
                first = 0
            elif first:
                held.append(line.removeprefix(indentation))
            elif (heading := _HEADING.match(line)) is not None:
                section = heading[1]
        return found

    def blocks(self) -> dict[str, str]:
        """Return the sections that have something to run, by their headings, each as one script."""
        scripts: dict[str, str] = {}
        for block in self.fenced():
            if block.language == "sh":
                scripts[block.section] = f"{scripts.get(block.section, '')}{block.text}"
        return scripts

    def table(self, first_column: str) -> list[list[str]]:
        """Return the cells of the table whose first column has this name."""
        rows: list[list[str]] = []
        inside = False
        for line in self.text.splitlines():
            cells = [cell.strip().replace("\\|", "|") for cell in _CELL.split(line.strip().strip("|"))]
            if line.startswith("|") and cells[0] == first_column:
                inside = True
            elif inside and line.startswith("|"):
                rows.append(cells)
            elif inside:
                break
        return rows[1:]
