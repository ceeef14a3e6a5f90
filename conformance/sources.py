"""Microsoft's tests: part of the source distributions of its SDKs, which are downloaded and never committed."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def pinned(package: str) -> str:
    """Return the version of the package that requirements.txt pins.

    Raises:
        ValueError: it pins none.
    """
    found = re.search(rf"^{re.escape(package)}==([\w.]+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"requirements.txt: a line {package}==VERSION is needed")
    return found[1]


def tests_of(package: str, cache: Path) -> Path:
    """Return the folder of the package's tests at the pinned version, downloaded at the first call.

    Raises:
        subprocess.CalledProcessError: pip could not download the source distribution.
    """
    folder = cache / f"{package.replace('-', '_')}-{pinned(package)}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(  # noqa: S603 - the command line is our own
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--no-binary", package, "--dest", str(cache), f"{package}=={pinned(package)}"),
            ],
            check=True,
        )
        with tarfile.open(cache / f"{folder.name}.tar.gz") as archive:
            archive.extractall(cache, filter="data")
    return folder / "tests"
