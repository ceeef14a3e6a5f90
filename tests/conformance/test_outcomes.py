"""What is declared about Microsoft's tests, and how a run is compared with it."""

from pathlib import Path

import pytest

from conformance.__main__ import SUITES
from conformance.outcomes import Suite, differences, load, undeclared
from conformance.sources import REPOSITORY, pinned

SUITE = Suite(
    package="azure-example",
    must_pass=0.5,
    features={"items": ("test_items.py",), "queries": ("routing/test_queries.py",)},
    left_out={"*sproc*": "stored procedures"},
    elsewhere={"test_vector*.py": "vector search"},
    expected={"test_items.py::test_known": ("failed", "a reason")},
)
AS_EXPECTED = {
    "test_items.py::test_known": {"outcome": "failed"},
    "test_items.py::test_works": {"outcome": "passed"},
    "test_items.py::test_sproc": {"outcome": "left out"},
}


def test_a_run_as_expected_differs_in_nothing() -> None:
    """Passes, the failures that are declared, and what is left out."""
    assert differences(SUITE, AS_EXPECTED, whole=True) == []


def test_a_pattern_that_leaves_nothing_out_is_a_difference() -> None:
    """What is out of the surface is said of tests that there are."""
    came = {test: outcome for test, outcome in AS_EXPECTED.items() if "sproc" not in test}

    assert differences(SUITE, came, whole=True) == ["*sproc*: leaves nothing out"]
    assert differences(SUITE, came, whole=False) == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"test_items.py::test_works": {"outcome": "failed"}}, "test_works: failed, expected passed"),
        ({"test_items.py::test_new": {"outcome": "skipped"}}, "test_new: skipped, expected passed"),
        ({"test_items.py::test_known": {"outcome": "passed"}}, "test_known: passed, expected failed"),
        ({"test_items.py::test_known": {"outcome": "skipped"}}, "test_known: skipped, expected failed"),
    ],
)
def test_every_other_outcome_is_a_difference(changed: dict[str, dict[str, str]], problem: str) -> None:
    """A pass that was not expected included: the list would go out of date."""
    (found,) = differences(SUITE, {**AS_EXPECTED, **changed}, whole=False)

    assert problem in found


def test_a_test_that_did_not_come_is_a_difference_of_a_whole_run() -> None:
    """A test that is gone, or a module that was not collected, would hide; some modules alone miss nothing."""
    came = {test: outcome for test, outcome in AS_EXPECTED.items() if "known" not in test}

    assert differences(SUITE, came, whole=True) == ["test_items.py::test_known: not run, expected failed"]
    assert differences(SUITE, came, whole=False) == []


def test_too_few_passes_are_a_difference() -> None:
    """Failures that are all declared do not make a run good."""
    failed = {f"test_items.py::test_{name}": {"outcome": "failed"} for name in "abc"}
    suite = Suite(**{**vars(SUITE), "left_out": {}, "expected": dict.fromkeys(failed, ("failed", "a reason"))})

    assert differences(suite, failed, whole=True) == ["0.0% of 3 passed, at least 50% must"]


def test_every_module_is_in_the_surface_or_out_of_it(tmp_path: Path) -> None:
    """A module that is new, and one that is gone, are told; what is no test is not."""
    for module in ("test_items.py", "test_vector_policy.py", "test_config.py", "test_new.py"):
        (tmp_path / module).touch()

    assert undeclared(SUITE, tmp_path) == [
        "routing/test_queries.py is declared, and the package has none",
        "test_new.py is neither in the declared surface nor out of it",
    ]


@pytest.mark.parametrize("name", SUITES)
def test_what_is_declared_holds_together(name: str) -> None:
    """Every exception has a reason, none is a pass, and none lies outside the surface."""
    suite = load(REPOSITORY / "conformance" / f"{name}.toml")

    assert pinned(suite.package)
    assert all(outcome in ("failed", "skipped") and reason for outcome, reason in suite.expected.values())
    assert all([*suite.left_out.values(), *suite.elsewhere.values()])
    assert {test.partition("::")[0] for test in suite.expected} <= set(suite.modules)


def test_a_package_that_is_not_pinned_is_named() -> None:
    """The versions stand in requirements.txt alone."""
    with pytest.raises(ValueError, match="azure-nothing==VERSION"):
        pinned("azure-nothing")
