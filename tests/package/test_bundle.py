"""What is in the bundle, and what is not."""

import hashlib
from pathlib import Path

from local.package.bundle import Bundle, build, shipped
from local.supervisor.layout import REPOSITORY


def test_ships_the_app_and_nothing_else(bundle: Bundle) -> None:
    """Nothing of local, tests, docs, infra or of whoever works on it is in the bundle."""
    assert {Path(name).parts[0] for name in bundle.files} == {
        *("function_app.py", "host.json", "requirements.txt"),
        *("activities", "field_encrypt", "keyturn", "orchestrators", "triggers"),
    }
    assert {".py", ".json", ".txt"} >= {Path(name).suffix for name in bundle.files}


def test_ships_every_module_of_its_packages(bundle: Bundle) -> None:
    """No pattern of .funcignore hits a module of the app by accident."""
    packages = ("activities", "field_encrypt", "keyturn", "orchestrators", "triggers")
    modules = {
        path.relative_to(REPOSITORY).as_posix() for name in packages for path in (REPOSITORY / name).rglob("*.py")
    }

    assert modules - set(bundle.files) == set()


def test_the_archive_follows_from_the_files_alone(bundle: Bundle, tmp_path: Path) -> None:
    """Packing the unpacked files again gives the same bytes, whenever that happens."""
    (bundle.folder / ".funcignore").write_text("__pycache__\n.funcignore\n")
    again = build(bundle.folder, tmp_path / "again")

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
