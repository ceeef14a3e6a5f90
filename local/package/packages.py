"""The packages that are deployed: what the lock names, for the platform of Azure Functions, each file by its hash."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from local.supervisor.layout import REPOSITORY

LOCK = REPOSITORY / "locks" / "requirements.txt"
INSTALLED_AT = ".python_packages/lib/site-packages"  # where the Python worker of Functions looks, below the app

# Flex Consumption runs Python 3.13 on x86_64 with glibc 2.36; 2.28 is below that, and tools/lock resolves for the same.
_PYTHON = "3.13"
_GLIBC_MINORS = range(28, 4, -1)
_OLDER_TAGS = ("manylinux2014", "manylinux2010", "manylinux1")
_PLATFORMS = (*(f"manylinux_2_{minor}" for minor in _GLIBC_MINORS), *_OLDER_TAGS)

_DIGITS = 12  # of the hash: enough to tell the locks of one working copy apart
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def canonical(name: str) -> str:
    """Return a package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(requirements: str) -> dict[str, str]:
    """Return the versions that a requirements file or a lock pins, by canonical name."""
    return {canonical(name): version for name, version in _PIN.findall(requirements)}


def install_packages(lock: Path, folder: Path) -> Path:
    """Return a folder below ``folder`` with the packages of this lock, installed at the first call.

    pip takes wheels only, and refuses a file whose hash is not in the lock, and a package that is not in it at all.
    What an install leaves that depends on this machine (scripts with its paths) is taken out.

    Raises:
        subprocess.CalledProcessError: a package is missing or refused; pip's output says which and why.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:_DIGITS]
    packages = folder.resolve() / f"packages-{digest}"
    if not packages.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="packages-", dir=folder) as scratch:
            target = Path(scratch, "target")
            _install(lock, target)
            _drop_scripts(target)
            _compile(target)
            target.rename(packages)  # whole, or not there
    return packages


def _install(lock: Path, target: Path) -> None:
    platforms = [option for platform in _PLATFORMS for option in ("--platform", f"{platform}_x86_64")]
    subprocess.run(  # noqa: S603 - our own
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--only-binary", ":all:", "--no-compile", "--requirement", str(lock.resolve())),
            *("--implementation", "cp", "--python-version", _PYTHON, *platforms, "--target", str(target)),
        ],
        check=True,
    )


def _drop_scripts(target: Path) -> None:
    """Remove scripts, which begin with the path of this interpreter, and their hashes from the lists of files."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for record in target.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        record.write_text("".join(line for line in lines if not line.startswith("../../bin/")))


def _compile(target: Path) -> None:
    """Compile every module: the app's folder is read-only in Azure, so each new instance would do it again.

    The compiled files name their source by its hash, not by a time that the archive does not keep.
    """
    options = ["-qq", "-s", str(target), "--invalidation-mode", "checked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", *options, str(target)], check=True)  # noqa: S603 - our own
