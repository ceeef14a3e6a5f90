"""The program itself: its version, and what a shell completes."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from keyturn import __version__
from local.supervisor.layout import REPOSITORY
from tests.end_to_end.command_line import installed
from tests.keyturn.cli.served import serving
from tests.keyturn.cli.terminal import Terminal


def test_the_version_is_shown() -> None:
    """As that of the package."""
    with serving({}) as app:
        assert app.run("--version").stdout == f"keyturn {__version__}\n"


@pytest.mark.parametrize("json_asked", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["frob"], "abort, approve, audit"),
        (["statu"], "did you mean status?"),
        (["migrate", "encryp"], "one of decrypt-check, encrypt, re-encrypt, rewrap-deks; did you mean encrypt?"),
        (["direct", "diagnose", "rows"], "one of dek, document"),
    ],
)
def test_a_command_that_is_none_is_refused_with_those_that_there_are(
    command: list[str], json_asked: list[str], said: str
) -> None:
    """In every group of commands; a problem, where JSON is asked for."""
    with serving({}) as app:
        refused = app.run(*command, *json_asked)

    assert refused.exit_code == 2
    text = (
        json.loads(refused.stderr)["detail"] if json_asked else " ".join(refused.stderr.replace("\u2502", " ").split())
    )
    assert f"No such command '{command[-1]}': expected one of " in text
    assert said in text


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in which the package's program is installed, as pip writes it, and of its user."""
    program = tmp_path / "bin" / "keyturn"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom keyturn.cli.__main__ import app\nsys.exit(app())\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(tmp_path), "PATH": path, "PYTHONPATH": str(REPOSITORY), "XDG_CONFIG_HOME": str(tmp_path)}


def run(command: str, environment: dict[str, str]) -> str:
    """Run a line in a bash, and return what it writes."""
    line = ["/bin/bash", "-c", f"{command}; true"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own


@pytest.fixture
def checkout(tmp_path: Path, shell: dict[str, str]) -> dict[str, str]:
    """The environment of a shell at a local Azure, whose ``keyturn`` is a script that runs the module."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    return {**shell, "PATH": installed(folder)}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_checkout_completes_the_name_that_is_typed(checkout: dict[str, str], name: str) -> None:
    """Not that of the module, which is no name of a command or of a variable."""
    script = run(f"keyturn --show-completion {name}", {**checkout, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})

    assert f"_KEYTURN_COMPLETE=complete_{name}" in script
    assert "python" not in script


def test_a_shell_takes_what_completes_a_checkout(checkout: dict[str, str]) -> None:
    """The script is sourced, and asked as a shell asks it when Tab is pressed."""
    typed = "COMP_WORDS=(keyturn diagnose d); COMP_CWORD=2"
    asked = f'{typed}; _keyturn_completion keyturn; echo "${{COMPREPLY[@]}}"'
    made = 'eval "$(keyturn --show-completion bash)"'
    offered = run(f"{made}; {asked}", {**checkout, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})

    assert offered.split() == ["dek", "document"]


def test_completion_is_installed(tmp_path: Path, shell: dict[str, str]) -> None:
    """For the shell that asks, in the home of whoever asks."""
    assert "bash completion installed" in run("keyturn --install-completion", shell)
    assert "keyturn" in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("keyturn wat", {"watch"}),
        ("keyturn re", {"report", "retry", "reinstate", "reject", "restore", "reencrypt"}),
        ("keyturn --context pr", {"prod", "preview"}),
        ("keyturn contexts --use pre", {"preview"}),
    ],
)
def test_a_shell_completes_commands_and_contexts(
    tmp_path: Path, shell: dict[str, str], typed: str, offered: set[str]
) -> None:
    """Nothing is called for it."""
    file = tmp_path / "keyturn" / "config.toml"
    file.parent.mkdir()
    file.write_text("".join(f"[contexts.{name}]\nurl = 'https://{name}.example'\n" for name in ("prod", "preview")))
    *_, last = words = typed.split()
    asked = {"_KEYTURN_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}

    completed = run("keyturn", {**shell, **asked}).split()

    assert set(completed) >= offered
    assert all(word.startswith(last) for word in completed)


def test_the_help_fits_into_a_terminal() -> None:
    """Of 80 columns."""
    with Terminal("--help", env={}) as person:
        assert person.end() == 0
        assert any("watch" in line for line in person.everything)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("report --json", "Missing argument"),
        ("status --json --bogus", "--bogus"),
        ("orphans --json foo", "missing-deks"),
        ("stat --json", "status"),
    ],
)
def test_a_command_that_is_wrong_is_a_problem_where_json_is_asked_for(command: str, told: str) -> None:
    """On standard error, with the same exit code, and with a hint that can be pasted."""
    with serving({}) as app:
        result = app.run(*command.split())
        assert app.run(*result_hint(result)).exit_code == 0
        plain = app.run(*[word for word in command.split() if word != "--json"])

    assert (result.exit_code, result.stdout, plain.exit_code) == (2, "", 2)
    assert told in json.loads(result.stderr)["detail"]
    assert told in " ".join(plain.stderr.split())


def result_hint(result: Result) -> list[str]:
    """Return the words of a problem's hint after our name."""
    return shlex.split(json.loads(result.stderr)["hint"])[1:]
