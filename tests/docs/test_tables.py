"""The runbooks' tables: every command with the test that runs it, every verdict, every secret that the code reads."""

import ast
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from field_encrypt.env_provider import KEY_VARIABLE
from keyturn.diagnosis.models import Verdict
from keyturn.settings import HealthProbe, Keyring, Settings
from local.backend.settings import BackendSettings
from local.functions_host.keys import Keys
from tests.docs.runbook import RUNBOOKS, Runbook

HERE = Path(__file__).parent
# The runbook -> the file that follows it.
FOLLOWED = {"MEK_ROTATION.md": "test_runbooks.py", "SECRET_MANAGEMENT.md": "test_secrets.py"}


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


@pytest.mark.parametrize("name", FOLLOWED)
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
