"""Commands that ask Azure themselves, beside ``direct``: how each ends where that fails, and what it says."""

import json
from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from typer.testing import CliRunner, Result

from field_encrypt.mek_errors import MekUnavailableError
from keyturn.cli.__main__ import app
from keyturn.resources import Resources
from tests.keyturn.settings.environment import RUNBOOK

DOCUMENTS = json.dumps([{"name": "notes", "fields": ["title"]}])
VAULT = "https://throw-away.vault.azure.net"
COMMANDS = [
    "key-backup list",
    f"key-backup verify --vault {VAULT}",
    f"key-backup drill --by dana --vault {VAULT}",
    f"key-backup restore --vault-url {VAULT}",
    "restore-rows --from https://notes-rows.documents.azure.com:443/",
]


def run(command: str, **environment: str | None) -> Result:
    """Run a command with the runbook's settings."""
    env: dict[str, str | None] = {**RUNBOOK, "KEYTURN_DOCUMENTS": DOCUMENTS, **environment}
    return CliRunner().invoke(app, command.split(), env=env)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("met", "code", "said"),
    [
        (ClientAuthenticationError("no token"), 77, "hint: az login"),
        (ServiceRequestError("no route"), 75, "runbook: MEK_ROTATION.md, The app cannot work"),
        (MekUnavailableError("mek", None, "no answer"), 75, "error: met MekUnavailableError"),
        (TimeoutError(), 75, "hint: run the same command again"),
        (KeyboardInterrupt(), 130, "stopped; "),
    ],
    ids=["no sign-in", "no route", "no vault", "no answer", "Ctrl-C"],
)
def test_how_it_ends(monkeypatch: pytest.MonkeyPatch, command: str, met: BaseException, code: int, said: str) -> None:
    """Whatever is met, the exit code is that of the table, and what to do is told."""

    async def fail(_settings: object) -> None:
        raise met

    monkeypatch.setattr(Resources, "open", fail)

    ended = run(command)

    assert (ended.exit_code, ended.stdout) == (code, "")
    assert said in ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_without_settings_it_says_where_they_come_from(command: str) -> None:
    """The variable is named, and the section in which the file with all of them is made."""
    ended = run(command, **dict.fromkeys(RUNBOOK))

    assert ended.exit_code == 78
    assert "is not set: expected" in ended.stderr
    assert "hint: set -a; . ./keyturn.env; set +a " in ended.stderr
    assert "MEK_ROTATION.md makes that file: On the operator's machine\n" in ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_setting_that_is_wrong_is_not_one_that_is_missing(command: str) -> None:
    """To load the same file again would help nothing."""
    ended = run(command, KEYTURN_DOCUMENTS="x")

    assert ended.exit_code == 78
    assert "KEYTURN_DOCUMENTS is 'x': expected JSON" in ended.stderr
    assert "keyturn.env" not in ended.stderr


@pytest.mark.parametrize("url", ["throw-away", "http://throw-away.vault.azure.net", "https://", f"{VAULT}/keys/mek"])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("key-backup verify --vault {}", "--vault"),
        ("key-backup drill --by dana --vault {}", "--vault"),
        ("key-backup restore --vault-url {}", "--vault-url"),
    ],
)
def test_a_vault_is_named_by_its_url(command: str, option: str, url: str) -> None:
    """A name alone, or a URL of something else, is refused before anything is asked."""
    ended = run(command.format(url))

    assert ended.exit_code == 64
    assert f"error: {option}: expected a vault's URL, as https://<name>.vault.azure.net" in ended.stderr


def test_the_section_that_a_hint_names_is_there() -> None:
    """A hint that leads nowhere helps nobody at night."""
    page = Path(__file__).parents[3] / "docs/runbooks/MEK_ROTATION.md"

    assert "\n## On the operator's machine\n" in page.read_text()
