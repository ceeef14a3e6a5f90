"""``python -m local.package``: builds the bundle, tries it, and prints what it weighs and how fast it starts."""

import argparse
import asyncio
import functools
from pathlib import Path

from local.package import report
from local.package.bundle import build
from local.package.environment import clean_environment
from local.package.packages import LOCK, install_packages
from local.package.trial import try_bundle
from local.supervisor.layout import REPOSITORY


def main() -> None:
    """Build, import, index, rotate; anything that does not work ends it with an error."""
    parser = argparse.ArgumentParser(prog="python -m local.package")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="folder of the bundle and environments")
    parser.add_argument("--no-trial", action="store_true", help="build the bundle and its environment only")
    options = parser.parse_args()
    out: Path = options.out
    say = functools.partial(print, flush=True)
    bundle = build(REPOSITORY, out / "keyturn", lock=LOCK, packages=install_packages(LOCK, out))
    say(report.of_bundle(bundle))
    environment = clean_environment(bundle.packages, out / "environment")
    if options.no_trial:
        return
    say(report.of_environment(environment, environment.import_all(bundle.folder)))
    say(report.of_trial(asyncio.run(try_bundle(bundle, environment))))


if __name__ == "__main__":
    main()
