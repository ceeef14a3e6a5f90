"""``doctor`` on the command line: what it prints, and how it ends."""

import json
import os
import re
import subprocess
import sys

from tests.keyturn.cli.served import serving
from tests.keyturn.cli.terminal import Terminal
from tests.local.services import REPOSITORY

NOTHING = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in an environment without any setting."""
    return subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "keyturn.cli", "doctor", *arguments],
        cwd=REPOSITORY,
        env={**NOTHING, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_is_the_first_command() -> None:
    """The help lists it before all others."""
    listed = subprocess.run(
        [sys.executable, "-m", "keyturn.cli", "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    commands = listed.partition("Commands")[2].splitlines()[1:]

    assert commands[0].strip("│ ").split()[0] == "doctor"


def test_a_problem_is_in_the_table_and_in_the_exit_code() -> None:
    """Without settings, it says which variable is missing, what is left to people, and ends with 73."""
    ended = doctor()

    assert ended.returncode == 73
    assert "AZURE_KEYVAULT_URL is not set" in ended.stdout
    assert "more are for people" in ended.stdout


def test_json_holds_every_line() -> None:
    """Each line has an id, an outcome, what was found, and what to do."""
    ended = doctor("--json")
    [settings] = [line for line in json.loads(ended.stdout) if line["id"] == "settings"]

    assert ended.returncode == 73
    assert settings.keys() == {"id", "outcome", "detail", "advice", "subject"}
    assert settings["outcome"] == "problem"


def test_the_help_says_what_a_probe_needs_and_leaves() -> None:
    """Whoever asks for help reads that --probe takes more rights and what it makes."""
    said = " ".join(doctor("--help", COLUMNS="200", TERM="dumb").stdout.split())

    assert "needs more rights" in said
    assert "keyturn-doctor-" in said


def test_only_what_is_wrong_is_shown_with_its_whole_fix() -> None:
    """In 80 columns, with a line that counts; everything is in the table on demand."""
    wrong, everything = doctor().stdout, doctor("--all").stdout

    assert wrong.startswith("problem  ")
    assert "\nto do    " in wrong
    assert not re.search(r"^(unchecked|ok) ", wrong, re.MULTILINE)
    assert re.search(r"\d+ ok, \d+ unchecked, \d+ warning, \d+ problem;", wrong)
    assert max(map(len, (wrong + everything).splitlines())) <= 80
    assert re.search(r"^unchecked ", everything, re.MULTILINE)


def test_a_command_of_a_fix_is_on_a_line_of_its_own() -> None:
    """It can be pasted, however long it is."""
    command = f"keyturn doctor --requirements {'a/folder/' * 6}requirements.txt"
    problem = {
        "id": "packages",
        "outcome": "problem",
        "subject": "",
        "detail": "cannot be read",
        "advice": f"name it: {command}",
    }
    with serving({"results": [problem]}) as app:
        told = app.run("doctor", "--from-app").stdout
        with Terminal("doctor", "--from-app", env={"KEYTURN_URL": app.url, "KEYTURN_FUNCTION_KEY": "k"}) as person:
            person.end()

    for written in (told, person.written.replace("\r", "")):
        assert f"\nto do    name it:\n  {command}\n" in written
