"""A terminal of a given size, in which a command runs and a person reads and types."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import pexpect
import pyte

from local.supervisor.layout import REPOSITORY

SECONDS = 60


class Terminal:
    """What a person sees who has run ``keyturn`` with these arguments: the screen, and everything that was written."""

    def __init__(self, *arguments: str, env: Mapping[str, str], columns: int = 80, rows: int = 24) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.Stream(self._screen)
        self.columns, self.written = columns, ""
        self._child: Any = pexpect.spawn(  # type: ignore[no-untyped-call]  # it has no types
            sys.executable,
            ["-m", "keyturn.cli", *arguments],
            cwd=str(REPOSITORY),
            env={"TERM": "xterm-256color", **env},
            dimensions=(rows, columns),
            timeout=SECONDS,
            encoding="utf-8",
            codec_errors="strict",
            echo=True,
        )
        self._child.logfile_read = self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    def write(self, text: str) -> None:
        """Show what the command has written, as pexpect passes it on."""
        self.written += text
        self._stream.feed(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def until(self, text: str) -> None:
        """Wait until the command has written this."""
        self._child.expect_exact(text)

    def until_shown(self, *texts: str) -> list[str]:
        """Wait until the screen shows all of these at once, and return its lines."""
        while not all(any(text in line for line in self.lines) for text in texts):
            self._child.expect([r".+", pexpect.EOF])
            if self._child.after is pexpect.EOF:
                assert all(any(text in line for line in self.lines) for text in texts), self.lines
        return self.lines

    def say(self, line: str) -> None:
        """Type a line."""
        self._child.sendline(line)

    def resize(self, columns: int) -> None:
        """Make the window so wide."""
        self._screen.resize(columns=columns)
        self.columns = columns
        self._child.setwinsize(self._screen.lines, columns)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._child.sendintr()

    def end(self) -> int:
        """Wait for the command's end, and return its exit code."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        return int(self._child.exitstatus)

    @property
    def lines(self) -> list[str]:
        """The lines that are on the screen now, without the empty ones."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def everything(self) -> list[str]:
        """The lines that were ever on the screen, those that have scrolled away included."""
        rows = [*self._screen.history.top, *(self._screen.buffer[row] for row in range(self._screen.lines))]
        return [line for line in ("".join(row[x].data for x in range(self.columns)).rstrip() for row in rows) if line]


@contextmanager
def width_of_words(terminal: Terminal) -> Iterator[None]:
    """Hold what is written within to the terminal's width, so that the terminal breaks no word.

    Left whole are a word that no line of the terminal holds, a command that is alone on its line, and a query.
    """
    yield
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.written)
    too_long = [line.rstrip() for line in re.split(r"[\r\n]+", plain) if len(line.rstrip()) > terminal.columns]
    whole = re.compile(r"  keyturn |SELECT ")
    breakable = [line for line in too_long if len(line.split()) > 1 and not whole.match(line)]
    assert not breakable, f"wider than {terminal.columns} columns: {breakable} of {terminal.written!r}"
