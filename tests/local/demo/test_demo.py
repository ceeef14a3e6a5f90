"""``make demo``, as a newcomer runs it: what stays on the screen, and every command that it ends with."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local.demo.display import INTERACTIVE
from local.supervisor.layout import REPOSITORY

pytestmark = [pytest.mark.end_to_end, pytest.mark.long, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

SIZE = ("--deks", "30", "--bits", "2048")
SECONDS = 400


@pytest.fixture(scope="module")
def shown() -> str:
    """Run the demo to its end, and return what it showed."""
    ended = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "local.demo", *SIZE],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_finished_bars_stay_with_their_rate(shown: str) -> None:
    """One of the sweep and one of the proofs, each full, under the state that it belongs to."""
    lines = shown.splitlines()
    bars = [line for line in lines if "rows/s" in line]

    assert [(bar.split()[0], re.search(r" (\d+)/\1 +\d+ rows/s ", bar) is not None) for bar in bars] == [
        ("sweep", True),
        ("proof", True),
    ]
    states = [next(i for i, line in enumerate(lines) if line.startswith(state)) for state in ("sweeping", "soaking")]
    assert states[0] < lines.index(bars[0]) < states[1] < lines.index(bars[1])


def commands(shown: str) -> list[str]:
    """Return the commands to try."""
    return [line.strip() for line in shown.partition("What to try")[2].splitlines() if line.startswith("  ")]


@pytest.fixture
def up(shown: str) -> Iterator[Path]:
    """Bring the same Azure up again, by the command that the demo ends with."""
    command = commands(shown)[0]
    assert command == "make local STATE=.local/demo DEKS=30 BITS=2048"
    state = REPOSITORY / ".local" / "demo"
    recipe = [sys.executable, "-m", "local", "up", "--state", str(state), *SIZE]
    with subprocess.Popen(recipe, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603 - our own
        assert running.stdout is not None
        assert any(line.startswith("The local Azure is up") for line in running.stdout)
        yield state
        running.terminate()
        assert running.wait(SECONDS) == 0


def test_every_command_to_try_works(shown: str, up: Path) -> None:
    """Each pasted after the exports, in the repository; ``make local`` is the fixture's, without make."""
    _, *pasted, last = commands(shown)
    assert last == INTERACTIVE
    assert "INTERACTIVE" in (REPOSITORY / "Makefile").read_text()
    assert len(pasted) == 5

    for command in pasted[1:]:
        ended = subprocess.run(  # noqa: S603 - our own
            ["/bin/sh", "-euc", f"{pasted[0]}\n{command}"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert (command, ended.returncode) == (command, 0), ended.stderr
        assert ended.stdout


@pytest.mark.parametrize(("decision", "end"), [("approve", "completed"), ("reject", "It ended in rejected")])
def test_a_person_decides(decision: str, end: str) -> None:
    """The demo prints where to decide and where to look, waits, and goes on as it was decided."""
    argv = [sys.executable, "-m", "local.demo", *SIZE, "--interactive"]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603 - our own
        assert demo.stdout is not None
        links = []
        for line in demo.stdout:
            links += [line.strip()] if line.strip().startswith("http") else []
            if line.startswith("It waits for you"):
                break
        page, console = links
        token = parse_qs(urlsplit(page).query)["token"][0]
        shown = requests.get(page, timeout=SECONDS)
        warnings = re.findall(r'name="acknowledged"[^>]*value="([^"]+)"', shown.text)
        form = [
            ("token", token),
            ("decision", decision),
            ("comment", "seen"),
            *(("acknowledged", one) for one in warnings),
        ]
        decided = requests.post(page.partition("?")[0], data=form, timeout=SECONDS)
        opened = requests.get(console, timeout=SECONDS, allow_redirects=False)
        rest = demo.stdout.read()

    assert (shown.status_code, decided.status_code, demo.returncode) == (200, 200, 0), decided.text
    assert opened.status_code in (200, 303)
    assert end in rest


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGHUP])
def test_a_person_may_leave(ended_by: signal.Signals) -> None:
    """By Ctrl-C, or by closing the window: it says so without a traceback, and leaves no service behind."""
    argv = [sys.executable, "-m", "local.demo", *SIZE, "--interactive"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=REPOSITORY, text=True, **pipes) as demo:  # type: ignore[call-overload]  # noqa: S603 - our own
        assert any(line.startswith("It waits for you") for line in demo.stdout)
        endpoints = json.loads((REPOSITORY / ".local" / "demo" / "endpoints.json").read_bytes())
        demo.send_signal(ended_by)
        code, told = demo.wait(SECONDS), demo.stderr.read()

    assert (code, "Traceback" in told) == (130, False), told
    assert "everything that it had started was stopped" in " ".join(told.split())
    for pid in endpoints["pids"].values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
