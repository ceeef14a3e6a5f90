"""``python -m conformance [--suite NAME] [--keep FILE] [MODULE ...]``: run Microsoft's tests, and compare."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conformance.outcomes import LEFT_OUT, PASSED, Suite, differences, load, undeclared
from conformance.services import REPOSITORY, running
from conformance.sources import tests_of

CACHE = REPOSITORY / ".local" / "conformance"
PYTHON = REPOSITORY / ".venv-conformance" / "bin" / "python"
SUITES = ("key_vault", "cosmos")
PROCESSES = 3  # on two processors: some tests sleep for seconds
_SECONDS_PER_TEST = 180
# Microsoft's own settings of pytest are not in the source distribution.
_OPTIONS = (
    *("-m", "pytest", "-c", os.devnull, "-p", "conformance_plugin", "-p", "no:cacheprovider"),
    *("-o", "asyncio_mode=auto", "-W", "ignore", "--tb=short", f"--timeout={_SECONDS_PER_TEST}", "-q"),
)

type Outcomes = dict[str, dict[str, Any]]


def run_module(suite: Suite, module: str, environment: Mapping[str, str], folder: Path) -> Outcomes:
    """Run a module in a process of its own: some leave the SDK patched where a test fails."""
    tests = tests_of(suite.package, CACHE)
    outcomes = folder / suite.package / f"{module.replace('/', '.')}.json"
    outcomes.parent.mkdir(exist_ok=True)
    with outcomes.with_suffix(".log").open("wb") as log:
        subprocess.run(  # noqa: S603 - the command line is our own
            [
                *(str(PYTHON), *_OPTIONS, "--rootdir", str(tests), "--left-out", json.dumps(sorted(suite.left_out))),
                *("--outcomes", str(outcomes), str(tests / module)),
            ],
            env={**os.environ, **environment, "PYTHONPATH": str(REPOSITORY / "conformance" / "shims")},
            stdout=log,
            stderr=log,
            check=False,
        )
    if not outcomes.exists():
        return {module: {"outcome": "failed", "detail": outcomes.with_suffix(".log").read_text()[-4000:]}}
    found: Outcomes = json.loads(outcomes.read_text())
    return found


def run(suites: list[Suite], chosen: list[str]) -> dict[str, Outcomes]:
    """Run the chosen modules of the suites, all if none is chosen, largest first; return the outcomes by package."""
    modules = [(suite, module) for suite in suites for module in suite.modules if not chosen or module in chosen]
    modules.sort(key=lambda one: -(tests_of(one[0].package, CACHE) / one[1]).stat().st_size)
    outcomes: dict[str, Outcomes] = {suite.package: {} for suite in suites}
    with tempfile.TemporaryDirectory() as state, running(Path(state)) as environment:
        folder = Path(state)
        with ThreadPoolExecutor(PROCESSES) as pool:
            ended = pool.map(lambda one: run_module(one[0], one[1], environment, folder), modules)
            for (suite, _), found in zip(modules, ended, strict=True):
                outcomes[suite.package] |= found
    return outcomes


def main() -> None:
    """Run the suites and say what differs; exit with 1 if anything does."""
    parser = argparse.ArgumentParser(prog="python -m conformance")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="test modules of the surface; all if left out")
    parser.add_argument("--suite", choices=SUITES, action="append", help="both if left out")
    parser.add_argument("--keep", type=Path, help="JSON file to write the outcomes to, with the texts of failures")
    arguments = parser.parse_args()
    suites = [load(Path(__file__).with_name(f"{name}.toml")) for name in arguments.suite or SUITES]
    problems = [problem for suite in suites for problem in undeclared(suite, tests_of(suite.package, CACHE))]
    started = time.monotonic()
    outcomes = run(suites, arguments.modules)
    for suite in suites:
        found = outcomes[suite.package]
        counts = Counter(one["outcome"] for one in found.values())
        chosen = counts.total() - counts[LEFT_OUT]
        print(
            f"{suite.package}: {counts[PASSED]} of {chosen} passed, {counts[LEFT_OUT]} of the same modules are left out"
        )
        problems += differences(suite, found, whole=not arguments.modules)
    print(f"{time.monotonic() - started:.0f} s")
    if arguments.keep:
        arguments.keep.write_text(json.dumps(outcomes, indent=1))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
