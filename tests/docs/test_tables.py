"""The runbook of rotations: every command with the test that runs it, every verdict."""

import ast
from pathlib import Path

import pytest

from keyturn.diagnosis.models import Verdict
from tests.docs.runbook import Runbook

HERE = Path(__file__).parent
# The runbook -> the file that follows it.
FOLLOWED = {"MEK_ROTATION.md": "test_runbooks.py"}


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
