"""``python -m local.package``: builds the bundle, tries it, and prints what it weighs and how fast it starts."""

import argparse
import asyncio
import functools
import hashlib
from pathlib import Path

from local.package.bundle import build
from local.package.environment import clean_environment
from local.package.trial import try_bundle
from local.supervisor.layout import REPOSITORY

_MIB = 1024 * 1024


def main() -> None:
    """Build, import, index, rotate; anything that does not work ends it with an error."""
    parser = argparse.ArgumentParser(prog="python -m local.package")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="folder of the bundle and environments")
    out: Path = parser.parse_args().out
    say = functools.partial(print, flush=True)
    bundle = build(REPOSITORY, out / "keyturn")
    digest = hashlib.sha256(bundle.archive.read_bytes()).hexdigest()
    say(f"{bundle.archive}: {len(bundle.files)} files, {_kib(bundle.archive.stat().st_size)} KiB packed")
    say(f"  {_kib(bundle.unpacked_bytes)} KiB unpacked, SHA-256 {digest}")
    environment = clean_environment(bundle.folder / "requirements.txt", out)
    say(f"{environment.folder}: {len(environment.installed())} packages, {environment.installed_bytes / _MIB:.0f} MiB")
    say(f"  all {len(environment.import_all(bundle.folder))} modules of the bundle can be imported")
    trial = asyncio.run(try_bundle(bundle, environment))
    say(f"worker ready after {trial.cold_start:.1f} s")
    say(f"rotation of {trial.rows} rows {trial.state} after {trial.rotation:.1f} s")


def _kib(size: int) -> int:
    return round(size / 1024)


if __name__ == "__main__":
    main()
