"""What an operator gets from ``pipx install .``: the command line, on the deployed requirements, and nothing else."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keyturn
from local.package.environment import Environment
from local.supervisor.layout import REPOSITORY

# A quarter of a minute of pip on an idle machine.
pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("package"), pytest.mark.timeout(600)]


class Installed:
    """The package as pipx has installed it into folders of its own."""

    def __init__(self, folder: Path) -> None:
        # From a copy: the build leaves folders beside what it builds.
        source = folder / "source"
        shutil.copytree(REPOSITORY, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist"))
        self._bin = folder / "bin"
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KEYTURN_"))},
            "PIPX_HOME": str(folder / "pipx"),
            "PIPX_BIN_DIR": str(self._bin),
            "PIPX_DEFAULT_PYTHON": sys.executable,
        }
        subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-m", "pipx", "install", str(source)],
            cwd=folder,
            env=self._env,
            check=True,
        )
        self.environment = Environment(folder / "pipx" / "venvs" / "keyturn")

    def keyturn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the console script in a folder that holds nothing of Keyturn."""
        return subprocess.run(  # noqa: S603 - our own
            [self._bin / "keyturn", *arguments],
            cwd=self._bin,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install once for all tests here."""
    return Installed(tmp_path_factory.mktemp("install"))


def test_the_version_is_printed(installed: Installed) -> None:
    """The console script is there, and says which version it is."""
    ended = installed.keyturn("--version")

    assert (ended.returncode, ended.stdout) == (0, f"keyturn {keyturn.__version__}\n")
    assert installed.environment.installed()["keyturn"] == keyturn.__version__


def test_the_help_lists_the_commands(installed: Installed) -> None:
    """The commands are found without the checkout."""
    ended = installed.keyturn("--help")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert {"doctor", "rotate", "approve", "migrate", "audit"} <= set(ended.stdout.split())


def test_a_command_finds_what_it_needs(installed: Installed) -> None:
    """A command that imports the SDKs runs as far as its settings, which are missing."""
    ended = installed.keyturn("doctor", "--json")

    assert (ended.returncode, ended.stderr) == (73, "")
    assert "AZURE_KEYVAULT_URL is not set" in ended.stdout


def test_the_package_is_the_core_and_the_library(installed: Installed) -> None:
    """Every module of both is in it, marked as typed, and no tests, local services or tools."""
    [record] = installed.environment.packages.glob("keyturn-*.dist-info/RECORD")
    files = {Path(name) for name, *_ in csv.reader(record.read_text().splitlines())}
    packaged = {file for file in files if file.parts[0] != ".." and ".dist-info" not in file.parts[0]}
    expected = {
        path.relative_to(REPOSITORY)
        for package in ("keyturn", "field_encrypt")
        for path in (*(REPOSITORY / package).rglob("*.py"), REPOSITORY / package / "py.typed")
    } | {Path("keyturn/doctor/live_checks.toml")}
    pages = [path for path in (REPOSITORY / "keyturn" / "html").rglob("*.*") if path.suffix in {".html", ".css", ".js"}]
    expected |= {path.relative_to(REPOSITORY) for path in pages}

    assert {file for file in packaged if file.suffix != ".pyc"} == expected
