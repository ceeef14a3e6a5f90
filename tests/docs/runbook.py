"""A runbook as tests read it: the blocks of each section, the commands in them, and its tables."""

import re
from pathlib import Path

from tests.end_to_end.command_line import REPOSITORY

RUNBOOKS = REPOSITORY / "docs" / "runbooks"

_HEADING = re.compile(r"^#{2,3} (.+)$")
_ASSIGNED = re.compile(r"^\w+=\$\((.+)\)$")
_CELL = re.compile(r"(?<!\\)\|")


class Runbook:
    """One runbook."""

    def __init__(self, name: str) -> None:
        self.path: Path = RUNBOOKS / name
        self.text = self.path.read_text()

    def blocks(self) -> dict[str, str]:
        """Return the sections that have something to run, by their headings, each as one script."""
        scripts: dict[str, str] = {}
        section, inside = "", False
        for line in self.text.splitlines():
            if line == "```sh":
                inside = True
            elif line.startswith("```"):
                inside = False
            elif inside:
                scripts[section] = f"{scripts.get(section, '')}{line}\n"
            elif (heading := _HEADING.match(line)) is not None:
                section = heading[1]
        return scripts

    def commands(self) -> set[tuple[str, str]]:
        """Return (command, section) of every line of the blocks, without what its result is assigned to."""
        return {
            (found[1] if (found := _ASSIGNED.match(line)) else line, section)
            for section, block in self.blocks().items()
            for line in block.splitlines()
        }

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
