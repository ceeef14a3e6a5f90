"""A clean environment: requirements.txt and nothing else, made once for each state of that file.

``python -m local.package.environment`` makes it and prints its folder.
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.supervisor.layout import REPOSITORY

_DIGITS = 12  # of the hash: enough to tell the requirements of one working copy apart

# Imports every module of the bundle, also those that the app imports late.
_IMPORT_ALL = """
import importlib, json, pkgutil, sys
folder, = sys.argv[1:]
sys.path.insert(0, folder)
def fail(name): raise ImportError(name)
names = [found.name for found in pkgutil.walk_packages([folder], onerror=fail) if not found.name.endswith("__main__")]
for name in names: importlib.import_module(name)
print(json.dumps(names))
"""
_INSTALLED = """
import importlib.metadata, json
print(json.dumps({found.name: found.version for found in importlib.metadata.distributions()}))
"""


class ImportFailedError(Exception):
    """A module needs what is not there; the text is the interpreter's."""


@dataclass(frozen=True)
class Environment:
    """An environment by its folder."""

    folder: Path

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder that packages are installed into."""
        return self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    @property
    def installed_bytes(self) -> int:
        """The size of what is installed, compiled modules and pip left out."""
        files = (path for path in self.packages.rglob("*") if path.suffix != ".pyc" and path.is_file())
        return sum(path.stat().st_size for path in files if path.relative_to(self.packages).parts[0] != "pip")

    def installed(self) -> dict[str, str]:
        """Return the versions of the installed packages."""
        found: dict[str, str] = json.loads(self._run(_INSTALLED))
        return found

    def import_all(self, folder: Path) -> list[str]:
        """Import every module below a folder with these packages alone, and return their names.

        Raises:
            ImportFailedError: one cannot be imported.
        """
        imported: list[str] = json.loads(self._run(_IMPORT_ALL, str(folder)))
        return imported

    def _run(self, code: str, *arguments: str) -> str:
        # Isolated from the folder and the environment of the caller; compiles nothing, so that a first start is one.
        command = [str(self.python), "-I", "-B", "-c", code, *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
        if finished.returncode:
            raise ImportFailedError(finished.stderr)
        return finished.stdout


def clean_environment(requirements: Path, folder: Path) -> Environment:
    """Return the environment for these requirements in the folder, made at the first call.

    Raises:
        subprocess.CalledProcessError: the interpreter or a package is missing; the output says which.
    """
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:_DIGITS]
    environment = Environment(folder.resolve() / f"environment-{digest}")
    if not (environment.folder / ".installed").exists():
        subprocess.run(  # noqa: S603 - our own script
            [REPOSITORY / "tools" / "bootstrap", environment.folder, requirements.resolve()],
            env={**os.environ, "PYTHON": sys.executable},
            check=True,
        )
    return environment


if __name__ == "__main__":
    print(clean_environment(REPOSITORY / "requirements.txt", REPOSITORY / "dist").folder)
