"""The runbooks' tables: every verdict and code with where to go, every check, every secret that the code reads."""

import ast
import contextlib
import re
import shlex
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr
from typer._click.exceptions import MissingParameter, NoArgsIsHelpError

from field_encrypt.env_provider import KEY_VARIABLE
from field_encrypt.row_states import QuarantineReason
from keyturn.contracts.states import TERMINAL, State
from keyturn.diagnosis.models import NEXT_STEPS, Verdict
from keyturn.documents.errors import DocumentReason
from keyturn.errors import OUTCOMES
from keyturn.notifications.events import EVENTS, ON_CALL, runbook
from keyturn.preflight.checks import CHECKLIST, WAIVABLE
from keyturn.settings import HealthProbe, Keyring, Settings
from local.backend.settings import BackendSettings
from local.functions_host.keys import Keys
from tests.docs.hints import parse
from tests.docs.runbook import RUNBOOKS, Runbook

HERE = Path(__file__).parent
# The runbook -> the file that follows it section by section; MEK_ROTATION.md is walked whole, by test_walk_mek.py.
FOLLOWED = {"SECRET_MANAGEMENT.md": "test_secrets.py"}
PAGES = ("MEK_ROTATION.md", "SECRET_MANAGEMENT.md")


def followed_by(file: str) -> dict[str, str]:
    """Return which test follows each section, by what the tests of the file pass to ``follow``."""
    tree = ast.parse((HERE / file).read_text())
    tests = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")]
    return {
        argument.value: test.name
        for test in reversed(tests)
        for call in ast.walk(test)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "follow"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }


@pytest.mark.parametrize("name", FOLLOWED)
def test_every_block_is_followed(name: str) -> None:
    """No section has a block that no test runs, and no test follows a section that is not there."""
    assert set(Runbook(name).blocks()) == set(followed_by(FOLLOWED[name]))


@pytest.mark.parametrize("name", FOLLOWED)
def test_every_command_is_in_the_table_with_its_test(name: str) -> None:
    """The table is what the blocks and the tests say."""
    runbook, file = Runbook(name), FOLLOWED[name]
    tests = followed_by(file)

    expected = {(f"`{command}`", section, f"`{file}` `{tests[section]}`") for command, section in runbook.commands()}
    assert {(row[0], row[1], row[2]) for row in runbook.table("command")} == expected


def test_every_verdict_is_in_the_runbook() -> None:
    """With the sentence that the diagnosis gives."""
    rows = Runbook("MEK_ROTATION.md").table("verdict")

    assert {f"`{verdict}`": verdict.next_step for verdict in Verdict} == dict(rows)


def test_a_command_that_is_named_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its options, in the text as in the blocks; what it is about may be left out where it is only named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()

    for command in re.findall(r"(?<![\w./-])keyturn [a-z][^`\n)|;]*", Runbook("MEK_ROTATION.md").text):
        words = shlex.split(command.partition(" > ")[0])[1:]
        with contextlib.suppress(MissingParameter, NoArgsIsHelpError):
            parse(words)


def test_every_check_is_in_the_runbook() -> None:
    """In the order in which they are made, each with whether it may be waived."""
    rows = Runbook("MEK_ROTATION.md").table("check")

    expected = [("waivers", "no"), *((name, "yes" if name in WAIVABLE else "no") for name in CHECKLIST)]
    assert [(check.strip("`"), waived[: len("yes")].rstrip(",;")) for check, _, waived in rows] == expected
    assert all(failing for _, failing, _ in rows)


# What a run, a row, a document or an error can say that an operator has to do something about.
CODES = {
    "states": {state.value for state in (TERMINAL | {State.NEEDS_ATTENTION, State.AWAITING_APPROVAL})},
    "reasons of rows": {reason.value for reason in QuarantineReason},
    "reasons of documents": {reason.value for reason in DocumentReason},
    "problem types": {outcome.problem for outcome in OUTCOMES.values()},
}


@pytest.mark.parametrize("kind", CODES)
def test_every_code_leads_to_a_section(kind: str) -> None:
    """Each stands once in the table of what is said, and its row has a link to where it is dealt with."""
    rows = Runbook("MEK_ROTATION.md").table("it says")
    named = [(code, row[2]) for row in rows for code in re.findall(r"`([a-z_-]+)`", row[0])]

    for code in CODES[kind]:
        [where] = [link for name, link in named if name == code]
        assert "](#" in where, code


@pytest.mark.parametrize("event", [name for name, event in EVENTS.items() if event.urgent])
def test_a_message_that_wants_a_person_names_its_section(event: str) -> None:
    """It is there; the question whether anybody can be reached wants nothing."""
    named = re.findall(r"^#{2,3} (.+)$", Runbook("MEK_ROTATION.md").text, re.MULTILINE)

    told = [line.removeprefix("Runbook: MEK_ROTATION.md, ") for line in runbook(event)]

    assert len(told) == (event != ON_CALL)
    assert set(told) <= set(named)


def test_no_code_is_told_that_is_none() -> None:
    """A reason that the code no longer knows would be looked for in vain."""
    told = {code for row in Runbook("MEK_ROTATION.md").table("it says") for code in re.findall(r"`([a-z_-]+)`", row[0])}

    assert told == set().union(*CODES.values())


def test_a_document_that_cannot_be_worked_on_has_its_next_step() -> None:
    """With the sentence that status, console and messages give."""
    rows = Runbook("MEK_ROTATION.md").table("reason")
    reasons = [code.strip("`") for code, _ in rows]
    [sent_here] = [row[0] for row in Runbook("MEK_ROTATION.md").table("it says") if row[2].endswith("-worked-on)")]

    assert [NEXT_STEPS[DocumentReason(reason)] for reason in reasons] == [step for _, step in rows]
    assert re.findall(r"`([a-z_]+)`", sent_here) == reasons


def secret_fields(model: type[BaseModel]) -> set[str]:
    """Return the variables of a model's fields that are marked secret."""
    return {name.upper() for name, field in model.model_fields.items() if SecretStr.__name__ in repr(field.annotation)}


def test_the_inventory_is_what_the_code_reads() -> None:
    """Every setting that is marked secret, every key of the host, and the library's own: no more, no less."""
    inventory = Runbook("SECRET_MANAGEMENT.md").table("what")
    settings = {row[0].strip("`") for row in inventory if row[1] == "setting"}
    host_keys = {row[0].removesuffix(" key") for row in inventory if row[1] == "host key"}

    assert secret_fields(Settings) | secret_fields(BackendSettings) | {KEY_VARIABLE} == settings
    assert host_keys == set(Keys.model_fields)
    assert secret_fields(Keyring) == set()
    # Of settings whose names an operator chooses: those that a probe's headers name.
    assert {row[0].split()[0].upper() for row in inventory if row[1] == "app setting"} == secret_fields(HealthProbe)


def test_every_secret_says_who_reads_it_and_where_it_comes_from() -> None:
    """No cell is empty."""
    assert all(all(row) and len(row) == 4 for row in Runbook("SECRET_MANAGEMENT.md").table("what"))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """To files that are there, and to headings that they have."""
    for target in re.findall(r"\]\(([^)]+)\)", Runbook(name).text):
        file, _, heading = target.partition("#")
        path = RUNBOOKS / (file or name)
        assert path.exists(), target
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for line in path.read_text().splitlines()
            if line.startswith("#")
        }
        assert not heading or heading in headings, target
