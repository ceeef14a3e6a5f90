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
INVARIANTS = [*(f"I{number}" for number in range(1, 13)), "I14"]  # I13 is about what people are shown


class Documented(NamedTuple):
    """A section of the page: what the invariant means, and the names in its three lists, as ``path::name``."""

    meaning: str
    guards: list[str]
    held_by: list[str]
    alive_by: list[str]


def documented() -> dict[str, Documented]:
    """Return the sections by invariant."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE):
        key, _, rest = section.partition(" ")
        if key in INVARIANTS:
            meaning, *lists = re.split(r"^(?:Guards|Held by|Shown alive by):$", rest, flags=re.MULTILINE)
            found[key] = Documented(meaning.partition("\n")[2].strip(), *(_names_listed(text) for text in lists))
    return found


def _names_listed(text: str) -> list[str]:
    """Return the names of a list, each of whose points begins with a file."""
    points = [re.findall(r"`([^`]+)`", point) for point in text.split("\n* ")]
    return [f"{point[0]}::{name}" for point in points if point for name in point[1:]]


SECTIONS = documented()


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


def test_the_page_has_every_invariant() -> None:
    """There is one section for each of the twelve, and each says what it means."""
    assert list(SECTIONS) == INVARIANTS
    assert all(row.meaning for row in SECTIONS.values())


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_what_the_page_names_is_there(invariant: str) -> None:
    """Guards and tests that a section names exist, and it names some of each."""
    row = SECTIONS[invariant]
    named = [name.partition("::") for name in (*row.guards, *row.held_by, *row.alive_by)]

    assert [name for path, _, name in named if name not in names_in(path)] == []
    assert all((row.guards, row.held_by, row.alive_by))


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_the_page_names_every_test(invariant: str) -> None:
    """Tests of whole code stand in one list, those of broken code in the other."""
    row, here = SECTIONS[invariant], written_for(invariant)
    broken = {test for test in here if "::test_broken_" in test}

    assert {test for test in row.held_by if test.startswith(str(FOLDER))} == here - broken
    assert broken <= set(row.alive_by) <= here
