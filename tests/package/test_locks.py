"""The locks: each has what its requirements file asks for, in full, and every file by its hash."""

import re
from pathlib import Path

import pytest

from local.package.packages import LOCK, pinned
from local.supervisor.layout import REPOSITORY

LOCKS = REPOSITORY / "locks"
SOURCES = sorted(REPOSITORY.glob("requirements*.txt"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def differences(source: str, requirements: str, lock: str) -> list[str]:
    """Return what is wrong with a lock: a pin that it lacks, one that nothing asks for, a missing hash, an option."""
    asked, locked = pinned(requirements), pinned(lock)
    entries = _entries(lock)
    direct = pinned(
        "\n".join(entry for entry in entries if re.search(rf"-r {re.escape(source)}$", entry, re.MULTILINE))
    )
    return [
        *(f"{name}=={asked[name]}: locked is {locked.get(name)}" for name in asked if locked.get(name) != asked[name]),
        *(f"{name}: required no longer" for name in direct if name not in asked),
        *(f"{entry.split()[0]}: no hash" for entry in entries if not HASH.search(entry)),
        *(f"{entry.split()[0]}: not a pin" for entry in entries if not pinned(entry) or "://" in entry),
    ]


def _entries(lock: str) -> list[str]:
    """Return the lines that begin one package each, with those that belong to them."""
    return [entry for entry in re.split(r"\n(?=\S)", lock.strip()) if not entry.startswith("#")]


def test_every_requirements_file_has_a_lock() -> None:
    """And no lock is left of a file that is gone."""
    assert {path.name for path in LOCKS.iterdir()} == {path.name for path in SOURCES}
    assert (LOCKS / "requirements.txt") == LOCK


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_lock_has_what_is_required(source: Path) -> None:
    """Every pin in its version, every package with hashes, and nothing that says where to install from."""
    lock = (LOCKS / source.name).read_text()

    assert differences(source.name, source.read_text(), lock) == [], "make lock"
    assert len(_entries(lock)) >= len(pinned(source.read_text())) > 0


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_requirement_is_pinned(source: Path) -> None:
    """A requirements file names exact versions, and others of its kind."""
    lines = [line.partition("#")[0].strip() for line in source.read_text().splitlines()]
    named = [line for line in lines if line and not re.fullmatch(r"-r requirements[\w-]*\.txt", line)]

    assert [line for line in named if not pinned(line)] == []


@pytest.mark.parametrize("name", ["requirements-dev.txt", "requirements-browser.txt"])
def test_tests_run_on_what_is_deployed(name: str) -> None:
    """Whatever is deployed has the same version in the environments that the tests run in."""
    deployed = pinned(LOCK.read_text())
    tested = pinned((LOCKS / name).read_text())

    assert {package: tested.get(package) for package in deployed} == deployed


LOCKED = f"""# made by make lock
one==1.0 \\
    --hash=sha256:{"0" * 64}
    # via -r own.txt
two==2.0 \\
    --hash=sha256:{"1" * 64}
    # via one
"""


@pytest.mark.parametrize(
    ("requirements", "lock", "found"),
    [
        ("one==1.0   # why\n", LOCKED, []),
        ("One==1.1\n", LOCKED, ["one==1.1: locked is 1.0"]),
        ("one==1.0\nthree==3.0\n", LOCKED, ["three==3.0: locked is None"]),
        ("two==2.0\n", LOCKED, ["one: required no longer"]),
        ("one==1.0\n", LOCKED.replace("--hash=sha256:1", "--hash=md5:1"), ["two==2.0: no hash"]),
        ("one==1.0\n", "--no-binary two\n" + LOCKED, ["--no-binary: no hash", "--no-binary: not a pin"]),
    ],
    ids=["fits", "another version", "missing", "left over", "no hash", "option"],
)
def test_a_lock_that_does_not_fit_is_found_out(requirements: str, lock: str, found: list[str]) -> None:
    """The comparison names what differs."""
    assert differences("own.txt", requirements, lock) == found
