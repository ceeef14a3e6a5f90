"""Walks a page from the top as a person does: every ``sh`` block in order, pasted into one shell that began empty.

The shell knows PATH and HOME; whatever else a command needs, the page has made or told before, or the walk ends.
Commands run one by one, and the first that fails ends it with its line in the page. Between sections a test does what
other people do meanwhile::

    async with walk(Runbook("PAGE.md"), checkout_for(azure, tmp_path)) as walked:
        await walked.through("Rotate")            # runs everything up to the end of this section
        await app.callers.approve(await walked.value("RUN"))
        await walked.through("Verify")            # goes on from there, in the same shell
        assert "verdict" in walked.said("Verify")

A walk that ends before the page does is an AssertionError.
"""

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from local.supervisor import LocalAzure
from tests.docs.runbook import Runbook
from tests.end_to_end.command_line import REPOSITORY, SECONDS

_SHELL = "/bin/sh"
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)")


class Command(NamedTuple):
    """A command of the page: its section, the number of its first line, and its lines."""

    section: str
    line: int
    text: str


class Said(NamedTuple):
    """What a command wrote."""

    command: Command
    out: str
    err: str


class StoppedError(AssertionError):
    """A command of the page failed."""


def commands_of(page: Runbook) -> list[Command]:
    """Return the commands of the ``sh`` blocks from the top; one may go over several lines."""
    found: list[Command] = []
    for block in page.fenced():
        if block.language != "sh":
            continue
        held: list[str] = []
        for number, line in enumerate(block.text.splitlines(), block.line):
            held.append(line)
            text = "\n".join(held)
            if _is_whole(text):
                found.append(Command(block.section, number - len(held) + 1, text))
                held = []
        assert not held, f"{page.path.name}:{block.line}: the block ends within a command"
    return [command for command in found if command.text.strip() and not command.text.lstrip().startswith("#")]


def _is_whole(text: str) -> bool:
    if text.endswith("\\"):
        return False
    if any(f"\n{found[1]}" not in text for found in _HERE_DOCUMENT.finditer(text)):
        return False
    looked = subprocess.run([_SHELL, "-n"], input=text, text=True, capture_output=True, check=False)  # noqa: S603 - runs nothing
    return looked.returncode == 0


def checkout_for(azure: LocalAzure, folder: Path) -> Path:
    """Return the folder of a checkout in which this local Azure is up: links to the repository, and its state."""
    made = folder / "keyturn"
    made.mkdir()
    for entry in REPOSITORY.iterdir():
        if entry.name not in {".git", ".local"}:
            (made / entry.name).symlink_to(entry)
    azure.write_endpoints()
    (made / ".local").mkdir()
    (made / ".local" / "azure").symlink_to(azure.layout.state)
    return made


class Walk:
    """One page, one shell, and how far they have come."""

    def __init__(self, page: Runbook, shell: asyncio.subprocess.Process, files: Path) -> None:
        self._page = page
        self._shell = shell
        self._files = files
        self._left = commands_of(page)
        self.history: list[Said] = []

    @property
    def left(self) -> list[Command]:
        """What was not run yet."""
        return list(self._left)

    async def through(self, section: str) -> str:
        """Run what is left up to the end of this section, and return what the section's commands wrote to stdout.

        Raises:
            StoppedError: a command failed.
            AssertionError: nothing is left of this section.
        """
        last = max((number for number, each in enumerate(self._left) if each.section == section), default=None)
        assert last is not None, f"{self._page.path.name}: nothing is left to run of a section {section!r}"
        for _ in range(last + 1):
            self.history.append(await self._run(self._left.pop(0)))
        return self.said(section)

    def said(self, section: str) -> str:
        """Return what the commands of this section wrote to stdout so far."""
        return "".join(said.out for said in self.history if said.command.section == section)

    async def value(self, name: str) -> str:
        """Return what a variable of the shell holds; raises StoppedError where it is not set."""
        said = await self._run(Command("", 0, f'printf %s "${{{name}:?not set}}"'))
        return said.out

    async def _run(self, command: Command) -> Said:
        files = {name: self._files / name for name in ("command", "out", "err")}
        files["command"].write_text(f"{command.text}\n")
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        line = "{{ . '{command}'; }} </dev/null >'{out}' 2>'{err}'; echo $?\n".format(**files)
        self._shell.stdin.write(line.encode())
        try:
            answer = await asyncio.wait_for(self._shell.stdout.readline(), SECONDS)
            # A shell that the command has ended answers nothing.
            code = int(answer) if answer else await self._shell.wait() or "the shell"
        except TimeoutError:
            code = f"not within {SECONDS} seconds"
        said = Said(command, files["out"].read_text(), files["err"].read_text())
        if code != 0:
            where = f"{self._page.path.name}:{command.line} ({command.section})"
            raise StoppedError(f"{where}: ended {code}: {command.text}\n{said.err}{said.out}")
        return said


@contextlib.asynccontextmanager
async def walk(page: Runbook, folder: Path) -> AsyncIterator[Walk]:
    """Open the empty shell in this folder; at the end, the whole page must have been run.

    Raises:
        AssertionError: something of the page was not run.
    """
    home = folder.parent / "home"
    home.mkdir()
    shell = await asyncio.create_subprocess_exec(
        _SHELL,
        "-u",  # a variable that the page has not made is an error, and not an empty text that a command may take
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        walked = Walk(page, shell, home)
        yield walked
        assert walked.left == [], f"{page.path.name}: not run"
    finally:
        with contextlib.suppress(ProcessLookupError):
            shell.kill()
        await shell.wait()
