"""What is in the bundle, and what is not."""

import csv
import hashlib
from pathlib import Path

import pytest

from local.package.bundle import Bundle, build, shipped
from local.package.packages import INSTALLED_AT, LOCK, pinned
from local.supervisor.layout import REPOSITORY

# The first test that asks for the bundle installs its packages, a quarter of a minute of pip on an idle machine.
pytestmark = [pytest.mark.xdist_group("package"), pytest.mark.timeout(600)]


def test_ships_the_app_and_nothing_else(bundle: Bundle) -> None:
    """Nothing of local, tests, docs, infra or of whoever works on it is in the bundle."""
    own = [name for name in bundle.files if not name.startswith(f"{INSTALLED_AT}/")]

    assert {Path(name).parts[0] for name in own} == {
        *("function_app.py", "host.json", "requirements.txt"),
        *("activities", "field_encrypt", "keyturn", "orchestrators", "triggers"),
    }
    assert {".py", ".json", ".txt", ".toml", ".html", ".css", ".js"} >= {Path(name).suffix for name in own}
    assert [name for name in own if name.endswith(".toml")] == ["keyturn/doctor/live_checks.toml"]
    pages = [path for path in (REPOSITORY / "keyturn" / "html").rglob("*.*") if path.suffix in {".html", ".css", ".js"}]
    assert {path.relative_to(REPOSITORY).as_posix() for path in pages} == {
        name for name in own if name.endswith((".html", ".css", ".js"))
    }


def test_its_requirements_are_the_lock(bundle: Bundle) -> None:
    """A build in Azure, if one is asked for, installs what was tested, by its hashes."""
    assert (bundle.folder / "requirements.txt").read_bytes() == LOCK.read_bytes()


def test_brings_its_packages_as_they_were_installed(bundle: Bundle, packages: Path) -> None:
    """Every file of every package is in the bundle, byte for byte, and nothing that depends on this machine."""
    installed = {path.relative_to(packages) for path in packages.rglob("*") if path.is_file()}
    shipped_files = {path.relative_to(bundle.packages) for path in bundle.packages.rglob("*") if path.is_file()}

    assert shipped_files == installed
    assert [file for file in installed if _digest(packages / file) != _digest(bundle.packages / file)] == []
    assert "bin" not in {file.parts[0] for file in installed}
    machine = str(REPOSITORY).encode()
    assert [file for file in installed if file.suffix != ".so" and machine in (packages / file).read_bytes()] == []


def test_ships_every_module_of_its_packages(bundle: Bundle) -> None:
    """No pattern of .funcignore hits a module of the app by accident."""
    packages = ("activities", "field_encrypt", "keyturn", "orchestrators", "triggers")
    modules = {
        path.relative_to(REPOSITORY).as_posix() for name in packages for path in (REPOSITORY / name).rglob("*.py")
    }

    assert modules - set(bundle.files) == set()


def test_its_packages_list_files_that_are_there(packages: Path) -> None:
    """No list of files names a script, whose bytes would be those of the machine that made it."""
    records = list(packages.glob("*.dist-info/RECORD"))
    listed = [Path(row[0]) for record in records for row in csv.reader(record.read_text().splitlines())]

    assert len(records) == len(pinned(LOCK.read_text()))
    assert [file for file in listed if not (packages / file).is_file()] == []


def test_the_archive_follows_from_the_files_alone(bundle: Bundle, tmp_path: Path) -> None:
    """Packing the unpacked files again gives the same bytes, whenever that happens."""
    (bundle.folder / ".funcignore").write_text("__pycache__\n.funcignore\n.python_packages\n")
    again = build(bundle.folder, tmp_path / "again", lock=LOCK, packages=bundle.packages)

    assert _digest(bundle.archive) == _digest(again.archive)


def test_patterns_are_those_of_git(tmp_path: Path) -> None:
    """A name hits in any folder, a slash binds to the root, ``!`` takes back, an ignored folder stays closed."""
    (tmp_path / ".funcignore").write_text(".funcignore\ndocs\n/top.py\n*.md\n!keep.md\n")
    for name in ("docs/keep.md", "app/docs/x.py", "app/top.py", "top.py", "app/a.md", "app/keep.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert shipped(tmp_path) == ["app/keep.md", "app/top.py"]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
