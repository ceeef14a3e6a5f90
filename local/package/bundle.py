"""What Functions gets: every file that .funcignore leaves, and the locked packages, as a zip.

The bytes of the zip follow from the files alone. Its requirements.txt is the lock, so that a build in Azure, if one is
asked for all the same, installs nothing else.
"""

import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from local.package.packages import INSTALLED_AT

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_MODE = 0o644 << 16


@dataclass(frozen=True)
class Bundle:
    """A built bundle, as an archive and unpacked."""

    archive: Path
    folder: Path
    files: list[str]  # relative, in order: the app's own, then those of its packages

    @property
    def packages(self) -> Path:
        """The folder of the packages, unpacked."""
        return self.folder / INSTALLED_AT

    @property
    def unpacked_bytes(self) -> int:
        """The size of all files together."""
        return sum((self.folder / name).stat().st_size for name in self.files)


def shipped(root: Path) -> list[str]:
    """Return the files that a deployment from this folder ships, relative to it, in order.

    Patterns are those of git, which is what the deployment tools read .funcignore as.
    """
    ignored = GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    return sorted(_walk(root, root, ignored))


def build(root: Path, target: Path, *, lock: Path, packages: Path) -> Bundle:
    """Write ``<target>.zip`` and unpack it into ``target``; what an earlier build left there is replaced.

    ``packages`` is a folder with what the lock names.
    """
    files = {name: root / name for name in shipped(root)} | {"requirements.txt": lock}
    installed = sorted(path for path in packages.rglob("*") if path.is_file())
    files |= {f"{INSTALLED_AT}/{path.relative_to(packages).as_posix()}": path for path in installed}
    archive = target.with_suffix(".zip")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
    shutil.rmtree(target, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(target)
    return Bundle(archive=archive, folder=target, files=list(files))


def _walk(folder: Path, root: Path, ignored: GitIgnoreSpec) -> Iterator[str]:
    """Yield files; a folder that is ignored is not entered, as with git."""
    for entry in os.scandir(folder):
        name = Path(entry.path).relative_to(root).as_posix()
        if entry.is_dir(follow_symlinks=False):
            if not ignored.match_file(f"{name}/"):
                yield from _walk(Path(entry.path), root, ignored)
        elif not ignored.match_file(name):
            yield name
