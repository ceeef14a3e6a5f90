"""What is not what the lock says is not installed."""

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

from local.package.packages import LOCK, canonical, install_packages, pinned


def _locked(name: str) -> str:
    """Return the lines of the lock that belong to one package."""
    [entry] = [entry for entry in re.split(r"\n(?=\S)", LOCK.read_text()) if name in pinned(entry)]
    return entry + "\n"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Where a test writes a lock of its own."""
    return tmp_path / "requirements.txt"


def test_a_package_is_installed_once(lock: Path, tmp_path: Path) -> None:
    """What the lock names is there, compiled; the second call leaves it as it is."""
    lock.write_text(_locked("rfc8785"))

    packages = install_packages(lock, tmp_path / "out")
    (packages / "seen").touch()

    installed = importlib.metadata.distributions(path=[str(packages)])
    assert {canonical(each.name): each.version for each in installed} == pinned(lock.read_text())
    assert list((packages / "rfc8785").rglob("*.pyc")) != []
    assert (install_packages(lock, tmp_path / "out") / "seen").exists()


WITHOUT_HASH = "rfc8785==0.1.4\n"
FORGED = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", _locked("rfc8785"))
INCOMPLETE = _locked("aiosignal")  # it requires frozenlist


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WITHOUT_HASH, "Hashes are required in --require-hashes mode"),
        (FORGED, "DO NOT MATCH THE HASHES"),
        (INCOMPLETE, "frozenlist"),
    ],
    ids=["no hash", "another hash", "not locked"],
)
def test_what_is_not_locked_is_refused(
    lock: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """A package without a hash, with another one, or that the lock lacks is not installed; nothing is left of it."""
    lock.write_text(text)

    with pytest.raises(subprocess.CalledProcessError):
        install_packages(lock, tmp_path / "out")

    assert said in capfd.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
