"""The interpreter and the packages are those that were tested."""

import importlib.metadata
import re
import sys
from pathlib import Path

from keyturn.doctor.lines import Line, ok, problem, unchecked, warning

PYTHON = (3, 13)  # infra/ deploys this one
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s#;]+)", re.MULTILINE)


def check_versions(requirements: Path) -> list[Line]:
    """Compare this interpreter and what is installed with what is deployed; the file is the app's requirements.txt."""
    running = sys.version_info[:2]
    python = f"Python {running[0]}.{running[1]}"
    deployed = f"{PYTHON[0]}.{PYTHON[1]}"
    interpreter = (
        ok(python) if running == PYTHON else warning(f"{python}, deployed is {deployed}", f"use Python {deployed}")
    )
    return [Line.of("python", interpreter), _packages(requirements)]


def _packages(requirements: Path) -> Line:
    try:
        pins = _PIN.findall(requirements.read_text())
    except OSError:
        return Line.of("packages", unchecked(f"{requirements} cannot be read", "name it with --requirements"))
    others = [f"{name} {found or 'missing'}, pinned {pin}" for name, pin in pins if (found := _installed(name)) != pin]
    if others:
        return Line.of("packages", problem("; ".join(others), f"pip install -r {requirements.name}"))
    return Line.of("packages", ok(f"all {len(pins)} pinned packages"))


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
