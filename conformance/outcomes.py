"""What is declared about Microsoft's tests, and how a run is compared with it."""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

PASSED, LEFT_OUT = "passed", "left out"  # the other outcomes are pytest's "failed" and "skipped"
NOT_TESTS = {"test_config.py", "_shared/test_case.py", "_shared/test_case_async.py"}  # by their names alone


@dataclass(frozen=True)
class Suite:
    """The declared surface of one package's tests, and what is expected of it.

    ``features`` are the modules of the surface by feature; ``left_out`` patterns of tests inside them that ask for
    what the local services do not serve; ``elsewhere`` patterns of the modules outside; ``expected`` the outcome and
    the reason of each test that does not pass.
    """

    package: str
    must_pass: float
    features: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str]
    elsewhere: Mapping[str, str]
    expected: Mapping[str, tuple[str, str]]

    @property
    def modules(self) -> list[str]:
        """The modules of the surface."""
        return sorted({module for modules in self.features.values() for module in modules})


def load(path: Path) -> Suite:
    """Return the suite that a TOML file declares."""
    declared = tomllib.loads(path.read_text())
    return Suite(
        package=declared["package"],
        must_pass=declared["must_pass"],
        features={name: tuple(modules) for name, modules in declared["features"].items()},
        left_out=_by_pattern(declared.get("left_out", [])),
        elsewhere=_by_pattern(declared.get("elsewhere", [])),
        expected={
            test: (group["outcome"], group["reason"])
            for group in declared.get("expected", ())
            for test in group["tests"]
        },
    )


def _by_pattern(groups: list[dict[str, object]]) -> dict[str, str]:
    return {str(one): str(group["reason"]) for group in groups for one in _listed(group["tests"])}


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"tests: a list of patterns is needed, not {value!r}")
    return value


def undeclared(suite: Suite, tests: Path) -> list[str]:
    """Return what the package's tests and the declaration do not agree on: a new module, or one that is gone."""
    there = {str(path.relative_to(tests)) for path in tests.rglob("test_*.py")} - NOT_TESTS
    problems = [f"{module} is declared, and the package has none" for module in suite.modules if module not in there]
    problems += [
        f"{module} is neither in the declared surface nor out of it"
        for module in sorted(there - set(suite.modules))
        if not any(fnmatchcase(module, pattern) for pattern in suite.elsewhere)
    ]
    return problems


def differences(suite: Suite, outcomes: Mapping[str, Mapping[str, str]], *, whole: bool) -> list[str]:
    """Return each outcome that differs from the expected one; of a whole run those that did not come, too."""
    found = {test: one["outcome"] for test, one in outcomes.items() if one["outcome"] != LEFT_OUT}
    wanted = {test: outcome for test, (outcome, _) in suite.expected.items() if whole or test in found}
    problems = [
        f"{test}: {found.get(test, 'not run')}, expected {wanted.get(test, PASSED)}"
        for test in sorted({*found, *wanted})
        if found.get(test) != wanted.get(test, PASSED)
    ]
    left_out = outcomes.keys() - found.keys()
    if whole:
        problems += [
            f"{pattern}: leaves nothing out"
            for pattern in suite.left_out
            if not any(fnmatchcase(test, pattern) for test in left_out)
        ]
    share = Counter(found.values())[PASSED] / max(len(found), 1)
    if whole and share < suite.must_pass:
        problems.append(f"{share:.1%} of {len(found)} passed, at least {suite.must_pass:.0%} must")
    return problems
