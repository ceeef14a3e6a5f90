"""docs/invariants.md says the same as the code and the tests."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path(__file__).parent.relative_to(REPOSITORY)
PAGE = REPOSITORY / "docs" / "invariants.md"
INVARIANTS = [f"I{number}" for number in range(1, 13)]


class Documented(NamedTuple):
    """A row of the table; of the last three columns, what stands there in backticks."""

    meaning: str
    guards: list[str]
    held_by: list[str]
    alive_by: list[str]


def documented() -> dict[str, Documented]:
    """Return the table by invariant."""
    found = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| **I"):
            name, meaning, *columns = line.removeprefix("| ").removesuffix(" |").split(" | ")
            key = name.removeprefix("**").partition("**")[0]
            found[key] = Documented(meaning, *(re.findall(r"`([^`]+)`", column) for column in columns))
    return found


TABLE = documented()


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the functions, classes and methods of a file; methods with their class."""
    return frozenset(_names(ast.parse((REPOSITORY / path).read_text()), ""))


def _names(node: ast.AST, prefix: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + child.name
        if isinstance(child, ast.ClassDef):
            yield from _names(child, f"{prefix}{child.name}.")


def written_for(invariant: str) -> set[str]:
    """Return the tests of the folder that are about the invariant, as their file's name says."""
    files = sorted((REPOSITORY / FOLDER).glob(f"test_i{int(invariant[1:]):02}_*.py"))
    paths = [str(file.relative_to(REPOSITORY)) for file in files]
    return {f"{path}::{name}" for path in paths for name in names_in(path) if name.startswith("test_")}


def test_the_table_has_every_invariant() -> None:
    """There is one row for each of the twelve, and each says what it means."""
    assert list(TABLE) == INVARIANTS
    assert all(row.meaning for row in TABLE.values())


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_what_the_table_names_is_there(invariant: str) -> None:
    """Guards and tests that a row names exist, and it names some of each."""
    row = TABLE[invariant]
    guards = [guard.partition(":") for guard in row.guards]
    tests = [test.partition("::") for test in (*row.held_by, *row.alive_by)]

    assert [name for path, _, name in (*guards, *tests) if name not in names_in(path)] == []
    assert all((row.guards, row.held_by, row.alive_by))


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_the_table_names_every_test(invariant: str) -> None:
    """Tests of whole code stand in one column, those of broken code in the other."""
    row, here = TABLE[invariant], written_for(invariant)
    broken = {test for test in here if "::test_broken_" in test}

    assert {test for test in row.held_by if test.startswith(str(FOLDER))} == here - broken
    assert broken <= set(row.alive_by) <= here
