"""Tests that share a service are marked as a group, and a group runs on one worker."""

import pytest


def test_a_group_runs_on_one_worker(pytester: pytest.Pytester) -> None:
    """The runner and its plugin agree on how a group is marked: a pair of versions that does not spreads it."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.xdist_group("service")
        @pytest.mark.parametrize("number", range(8))
        def test_where(number, record_property):
            print("worker", os.environ["PYTEST_XDIST_WORKER"])
        """
    )

    ran = pytester.runpytest_subprocess("-n", "2", "--dist", "loadgroup", "-p", "no:asyncio", "-rP")

    workers = {line.split()[1] for line in ran.outlines if line.startswith("worker ")}
    assert ran.parseoutcomes()["passed"] == 8
    assert len(workers) == 1
