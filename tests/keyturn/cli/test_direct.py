"""``direct`` and ``encrypt-migrate`` on the command line: what is refused before Azure is asked, and what is told."""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from keyturn.cli import in_process, verification
from keyturn.cli.__main__ import app
from keyturn.cli.direct import encrypt_migrate
from keyturn.cli.in_process import IN_BOTH
from keyturn.diagnosis.models import DekDiagnosis, DocumentDiagnosis, Verdict
from keyturn.direct.session import Progress, read_settings
from keyturn.errors import FencedError, InvalidRequestError, NotSettledError, RowsLeftError, SettingsError
from keyturn.runs.lease import running
from tests.docs.hints import parse
from tests.keyturn.cli.served import serving

REPOSITORY = Path(__file__).parents[3]
SETTINGS = {
    "KEYTURN_ACCESS": "keys",
    "KEYTURN_KEYRING": "notelett",
    "AZURE_KEYVAULT_URL": "https://notes.vault.azure.net",
    "FIELD_ENCRYPT_MEK_NAME": "notelett-mek",
    "COSMOS_ENDPOINT": "https://notes.documents.azure.com:443/",
    "COSMOS_DATABASE": "notes",
    "KEYTURN_DOCUMENTS": json.dumps([{"name": "notes", "fields": ["title"], "partitionKey": "workspaceId"}]),
}


def run(*arguments: str) -> Result:
    """Run ``keyturn direct`` with nothing in the environment."""
    return CliRunner().invoke(app, ["direct", *arguments], env=dict.fromkeys(SETTINGS))


def migrate(*arguments: str) -> Result:
    """Run ``encrypt-migrate`` on a keyring."""
    return CliRunner().invoke(encrypt_migrate, ["--product", "notelett", *arguments], env=dict.fromkeys(SETTINGS))


@pytest.mark.parametrize(
    ("mode", "hint"),
    [
        ("encrypt", "keyturn migrate encrypt --keyring notelett"),
        ("re-encrypt", "keyturn migrate re-encrypt --keyring notelett"),
        ("decrypt-check", "keyturn migrate decrypt-check --keyring notelett"),
    ],
)
def test_a_mode_of_the_app_names_its_command(mode: str, hint: str) -> None:
    """Documents are worked on by the app alone; the command to give is told."""
    ended = migrate("--mode", mode)

    assert (ended.exit_code, hint in ended.stderr) == (64, True)


def test_the_old_name_is_a_command_of_the_package() -> None:
    """Whoever installs the package has it on the path."""
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]

    assert EntryPoint("encrypt-migrate", scripts["encrypt-migrate"], "console_scripts").load() is encrypt_migrate


def test_an_unknown_mode_lists_those_that_there_are() -> None:
    """A mode that was mistyped is named, with what was expected."""
    ended = migrate("--mode", "rewrap")

    assert ended.exit_code == 64
    assert "--mode rewrap: expected rewrap-deks" in ended.stderr
    assert "re-encrypt" in ended.stderr


@pytest.mark.parametrize("command", ["rewrap", "census", "versions", "rollback notelett.20261124T120000Z.abcdef"])
def test_without_settings_the_variable_is_named(command: str) -> None:
    """Every command works on the app's settings, and says which is missing."""
    ended = run(*command.split())

    assert ended.exit_code == 78
    assert any(f"error: {variable}" in ended.stderr for variable in SETTINGS)
    assert "--settings" in ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{name}={json.dumps(value)}\n" for name, value in SETTINGS.items()),
        "# as a shell exports it\n" + "".join(f"export {name}={value}\n" for name, value in SETTINGS.items()),
        json.dumps([{"name": name, "value": value, "slotSetting": False} for name, value in SETTINGS.items()]),
        json.dumps({"IsEncrypted": False, "Values": SETTINGS}),
    ],
    ids=["azd", "export", "az", "local.settings.json"],
)
def test_settings_come_from_a_file(tmp_path: Path, text: str) -> None:
    """Each of the forms in which tools print the app's settings is read, and the environment does not count then."""
    file = tmp_path / "settings"
    file.write_text(text)

    settings = read_settings({"KEYTURN_KEYRING": "other"}, file)

    assert settings.keyring(None).name == "notelett"
    assert [container.fields for container in settings.keyring(None).documents] == [["title"]]


@pytest.mark.parametrize("text", ["no settings\n", "[1]", '{"Values": []}', '["a"'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the option and what was expected."""
    file = tmp_path / "settings"
    file.write_text(text)

    ended = run("census", "--settings", str(file))

    assert ended.exit_code == 64
    assert "--settings" in ended.stderr
    assert "azd env get-values" in ended.stderr


def test_secrets_are_not_asked_for(tmp_path: Path) -> None:
    """App Service shows secrets as references, which a person cannot follow: they are left out, all others are not."""
    reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)"
    secrets = dict.fromkeys(("APPROVAL_WEBHOOK_SECRETS", "ACTIONTRAIL_SECRETS", "NOTIFICATION_URLS"), reference)

    settings = read_settings({**SETTINGS, **secrets, "ACTIONTRAIL_URL": "https://trail.example.com"}, None)

    assert settings.approval_webhook_secrets is None
    assert settings.actiontrail_url is None
    with pytest.raises(SettingsError):
        read_settings({**SETTINGS, "COSMOS_ENDPOINT": reference}, None)


@contextmanager
def working(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> Iterator[None]:
    """Let the work in this process tell its progress, and come out like this."""

    async def opened(_file: object, tell: Any, _work: object) -> Any:
        tell(Progress(1, 2, 3, 0))
        tell(Progress(2, 2, 3, 1))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with monkeypatch.context() as patched:
        patched.setattr(in_process, "_opened", opened)
        yield


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "the same command goes on"),
        (
            FencedError("the run went on without this workflow", rotationId="notes.r"),
            73,
            "hint: another process, or the app",
        ),
        (TimeoutError(), 75, "run the same command again"),
        (
            RowsLeftError("1 rows cannot be moved", named=[{"id": "dek-7", "reason": "malformed", "mekVersion": None}]),
            65,
            "dek-7  malformed  no version",
        ),
        (InvalidRequestError.expected("newVersion", "a version"), 64, "error: --new-mek-version: expected a version"),
        (InvalidRequestError.expected("oldVersion", "another"), 64, "hint: keyturn direct versions"),
        (InvalidRequestError.expected("page", "a number"), 64, "error: page: expected a number"),
    ],
    ids=["Ctrl-C", "overtaken", "outage", "rows left", "bad version", "what versions there are", "another field"],
)
def test_how_it_ends(monkeypatch: pytest.MonkeyPatch, outcome: BaseException, code: int, said: str) -> None:
    """Each failure has the exit code of the table, says what to do, and the progress stands before it."""
    with working(monkeypatch, outcome):
        ended = run("rewrap")

    assert ended.exit_code == code
    assert said in ended.stderr
    assert ended.stderr.splitlines()[:2] == [
        "pass 1: 2 of 3 rows moved",
        "pass 2, 1 cannot be moved: 2 of 3 rows moved",
    ]
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.SOUND, 0), (Verdict.NO_KEY_CHECK, 0), (Verdict.ROW_MISSING, 73)]
)
@pytest.mark.parametrize("option", [[], ["--json"], ["--field", "verdict"]])
def test_what_does_not_open_is_in_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, verdict: Verdict, code: int, option: list[str]
) -> None:
    """Of a DEK and of a document, as where the app is asked."""
    dek = DekDiagnosis(verdict=verdict, finding="found", keyring="notes", dek_id="d")
    document = DocumentDiagnosis(
        verdict=verdict, finding="found", keyring="notes", container="notes", document_id="n", fields=[]
    )
    with working(monkeypatch, dek):
        ended = run("diagnose", "dek", "d", *option)
    with working(monkeypatch, document):
        ended_of_document = run("diagnose", "document", "n", "--container", "notes", *option)

    assert (ended.exit_code, ended_of_document.exit_code) == (code, code)
    assert verdict.value in ended.stdout


RUN = "notes.20261124T120000Z.abcdef"
TWINS = [
    (f"rollback {RUN} --reason why --dry-run", f"direct rollback {RUN} --dry-run"),
    (f"reinstate {RUN}", f"direct reinstate {RUN}"),
    (f"abort {RUN}", f"direct abort {RUN}"),
    ("verify notes --all", "direct verify notes --all"),
    ("diagnose dek d-1 --keyring notes", "direct diagnose dek d-1 --keyring notes"),
    ("diagnose document n-1 --container notes", "direct diagnose document n-1 --container notes"),
    (
        "migrate rewrap-deks --new-version v2 --old-version v1",
        "direct rewrap --new-mek-version v2 --old-mek-version v1",
    ),
    ("keyrings", "direct --help"),
]


@pytest.mark.parametrize(("command", "twin"), TWINS)
def test_without_the_app_the_same_is_done_by(command: str, twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the app does not answer, each command names the one that does it without the app, with its arguments."""
    monkeypatch.setattr(verification, "PATIENCE_SECONDS", 0.0)
    with serving({}) as served:
        gone = served.url
    with serving({}) as served:
        ended = served.run(*command.split(), KEYTURN_URL=gone)

    assert ended.exit_code == 75, ended.output
    assert f"without the app: keyturn {twin}\n" in ended.stderr
    parse(twin.split())


def test_every_command_of_two_ways_names_the_other() -> None:
    """Those above are all that there are."""
    commands: Any = get_command(app)
    both = known_names(commands.commands["direct"]) & known_names(commands)

    assert both == {" ".join(twin.split()[1:-1][: 2 if "diagnose" in twin else 1]) for _, twin in TWINS} & both
    assert {name.split()[0] for name in both} == set(IN_BOTH)


def known_names(group: Any, before: str = "") -> set[str]:
    """Return the commands of a group, those of groups in it by both names."""
    return set[str]().union(
        *(
            known_names(command, f"{before}{name} ") if hasattr(command, "commands") else {f"{before}{name}"}
            for name, command in group.commands.items()
        )
    )


@pytest.mark.parametrize(
    ("advice", "instead"),
    [
        ("look: keyturn diagnose dek d-1 --keyring notes", "look: keyturn direct diagnose dek d-1 --keyring notes"),
        (f"take it back: keyturn rollback {RUN}", f"take it back: keyturn direct rollback {RUN}"),
        ("keyturn migrate rewrap-deks --keyring notes --new-version v2", "keyturn direct rewrap --keyring notes"),
        (f"keyturn watch {RUN}", "keyturn direct rewrap --keyring notes"),
        ("keyturn orphans missing-deks --keyring notes", "keyturn direct verify notes --all"),
        ("start a restore: keyturn restore", "start a restore: keyturn restore"),
    ],
)
def test_what_is_advised_needs_no_app(monkeypatch: pytest.MonkeyPatch, advice: str, instead: str) -> None:
    """Where a command of ``direct`` does the same; what only the app does stays."""
    looked = {"rewrap": "census", "verify": "references"}.get(instead.split()[2], "row")
    result = {"id": looked, "subject": "", "outcome": "problem", "detail": "wrong", "advice": advice}
    found = {"keyring": "notes", "opened": 0, "query": "SELECT", "results": [result]}
    with working(monkeypatch, found):
        ended = run("verify")

    assert ended.exit_code == 73
    assert f"      do: {instead}\n" in ended.stdout
    if "restore" not in instead:
        parse(instead[instead.index("direct") :].split())


def test_hints_of_errors_need_no_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a verification; another run is ended here, and one that went on elsewhere is looked at."""
    hints = []
    for error in (
        running("notes", RUN),
        NotSettledError("runs hold the budget", hint="keyturn verify notes"),
        FencedError("the run went on", rotationId=RUN),
    ):
        with working(monkeypatch, error):
            hints += re.findall("hint: (.*)", run("rewrap").stderr)

    assert hints == [
        f"end it: keyturn direct abort {RUN}; or wait for it: keyturn watch {RUN}",
        "keyturn direct verify notes",
        f"another process, or the app, went on with the run: keyturn watch {RUN}",
    ]
