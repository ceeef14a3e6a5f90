"""The rooms of ``keyturn``: who may import whom, and how large they may become."""

import ast
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "keyturn"
PAGE = REPOSITORY / "docs" / "architecture.md"

# 16,500 lines in 151 files held the core. What people work with came on top: console, approver's page and what is filed
# (1,700), the command line of tables, waits and contexts (2,100), the way without the app (1,500), verification, repair
# and rows from another account (1,400), backups that open and their drill (650).
FILES_MAX, LINES_MAX, MEDIAN_MIN = 192, 23_960, 90


def order() -> list[str]:
    """Return the rooms in the order of the page."""
    block = PAGE.read_text().partition("### Rooms")[2].split("```")[1]
    return re.findall(r"^(\w+)", block, flags=re.MULTILINE)


def sources() -> dict[Path, str]:
    """Return every module of the package."""
    return {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def imports() -> dict[str, dict[str, set[str]]]:
    """Return for each room the rooms that it imports, and in which modules."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path, text in sources().items():
        module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for imported in _imported(ast.parse(text)):
            if _room(imported) and _room(imported) != _room(module):
                found[_room(module)][_room(imported)].add(module)
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "keyturn":
            yield from (f"keyturn.{alias.name}" for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _room(module: str) -> str:
    """Return the package or the module at the top of ``keyturn`` that a module belongs to; empty outside of it."""
    parts = module.split(".")
    return parts[1] if parts[0] == "keyturn" and len(parts) > 1 else ""


def test_the_page_names_every_room() -> None:
    """The list of the page is complete and names nothing else."""
    rooms = {_room(".".join(path.relative_to(REPOSITORY).with_suffix("").parts)) for path in sources()}

    assert set(order()) == rooms - {"", "__init__"}
    assert len(order()) == len(set(order()))


def test_each_room_imports_only_rooms_above_it() -> None:
    """So there is no circle: an import that points downwards is named with its module."""
    place = {room: number for number, room in enumerate(order())}
    downwards = {
        f"{importer} -> {room}": sorted(modules)
        for importer, rooms in imports().items()
        if importer in place
        for room, modules in rooms.items()
        if place[room] > place[importer]
    }

    assert downwards == {}


def test_the_package_stays_small() -> None:
    """Few files, none of them a fragment; ``test_sources.py`` has the upper bounds of each."""
    lines = {str(path.relative_to(REPOSITORY)): len(text.splitlines()) for path, text in sources().items()}

    assert len(lines) <= FILES_MAX
    assert sum(lines.values()) <= LINES_MAX
    assert statistics.median(lines.values()) >= MEDIAN_MIN
