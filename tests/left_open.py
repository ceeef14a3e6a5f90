"""Fails the test that left a socket, a file or a process open, rather than the one that runs when it is collected.

What is still referenced belongs to whoever holds it: the clients and pools of a wider fixture are not collected.
"""

import gc
import tracemalloc
import warnings
from collections.abc import Iterator

import pytest


def pytest_collection_finish() -> None:
    """Set apart what imports have made: no test owns it, and looking through it would slow every test."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Collect what the test and its fixtures let go of; ``python -X tracemalloc=25`` tells where each was opened."""
    try:
        yield
    finally:
        left_open = _let_go(item)
    if left_open:
        pytest.fail("left open:\n" + "\n".join(left_open), pytrace=False)


def _let_go(item: pytest.Item) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        if isinstance(item, pytest.Function):
            item.funcargs.clear()  # pytest itself drops the fixtures' values only after the teardown
        # A unit test opens no socket and starts no process: what it made itself is young, and looking there is quick.
        gc.collect(0 if item.get_closest_marker("unit") else 2)
    return ["\n".join([str(warning.message), *_allocated_at(warning)]) for warning in found]


def _allocated_at(warning: warnings.WarningMessage) -> list[str]:
    trace = tracemalloc.get_object_traceback(warning.source) if warning.source is not None else None
    return trace.format() if trace is not None else []
