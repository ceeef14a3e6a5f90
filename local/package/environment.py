"""A clean environment: an interpreter that finds the packages of a bundle, and nothing else."""

import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

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


def clean_environment(packages: Path, folder: Path) -> Environment:
    """Make an environment that has the packages in the one folder, in the other; what is there is replaced.

    The packages stay where they are: what is tried is what was packed.
    """
    environment = Environment(folder.resolve())
    shutil.rmtree(environment.folder, ignore_errors=True)
    venv.create(environment.folder, symlinks=True, with_pip=False)
    (environment.packages / "bundle.pth").write_text(f"{packages.resolve()}\n")
    return environment
