"""The sources of the whole repository, tests and tools included: short, and each exemption with its reason."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = [
    "keyturn",
    "field_encrypt",
    "orchestrators",
    "activities",
    "triggers",
    "local",
    "tests",
    "infra",
    "bench",
    "conformance",
    "tools",
]
FILE_MAX, FUNCTION_MAX = 300, 60
EXEMPTION = re.compile(r"(noqa|type: ignore)\b")
REASON = re.compile(r"noqa: [A-Z0-9, ]+ - \S|type: ignore\[[a-z, -]+\]\s+# \S")


def sources(folder: str) -> dict[str, str]:
    """Return every module of a folder; fails where there is none."""
    found = {
        str(path.relative_to(REPOSITORY)): path.read_text() for path in sorted((REPOSITORY / folder).rglob("*.py"))
    }
    assert found, folder
    return found


def test_every_folder_with_code_is_looked_at() -> None:
    """A new package is added to the list."""
    packages = {path.parent.name for path in REPOSITORY.glob("*/*.py") if not path.parent.name.startswith(".")}

    assert packages == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_stay_short(folder: str) -> None:
    """A file is one concern."""
    lines = {path: len(text.splitlines()) for path, text in sources(folder).items()}

    assert {path: count for path, count in lines.items() if count > FILE_MAX} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_stay_short(folder: str) -> None:
    """No function is longer than a screen."""
    lines = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, text in sources(folder).items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: count for name, count in lines.items() if count > FUNCTION_MAX} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_exemption_has_its_reason(folder: str) -> None:
    """``noqa`` and ``type: ignore`` name what they allow, and say in the same line why."""
    comments = [
        f"{path}:{token.start[0]} {token.string}"
        for path, text in sources(folder).items()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and EXEMPTION.search(token.string)
    ]

    assert [comment for comment in comments if not REASON.search(comment)] == []


def test_no_test_module_is_imported() -> None:
    """What several test modules use stands in a module of its own, or in a conftest."""
    imports = [
        f"{path}: {imported[1]}"
        for path, text in sources("tests").items()
        for imported in re.finditer(r"^\s*from (tests\.\S*\btest_\w+) import", text, re.MULTILINE)
    ]

    assert imports == []
