"""A test that leaves something open fails itself, and not the test after it."""

import pytest

from tests.local.services import REPOSITORY

PRELUDE = """
import gc
import socket

import aiohttp
import pytest
"""

LEAKS = {
    "a socket in a circle of references": """
def test_leaks():
    circle = [socket.socket()]
    circle.append(circle)
""",
    "a client session that a fixture returned": """
@pytest.fixture
async def session():
    return aiohttp.ClientSession()

async def test_leaks(session):
    pass
""",
}

AFTERWARDS = """
def test_after_it():
    gc.collect()
"""

HELD = """
@pytest.fixture(scope="session")
def shared():
    with socket.socket() as opened:
        circle = [opened]
        circle.append(circle)
        yield circle

def test_opens_one_into_the_pool(shared):
    shared.append(socket.socket())

def test_closes_it(shared):
    shared.pop().close()
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty suite with the settings of this one."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = session\nfilterwarnings = error\n"
    )
    return pytester


@pytest.mark.parametrize("leak", LEAKS)
def test_the_test_that_leaves_something_open_fails(suite: pytest.Pytester, leak: str) -> None:
    """The error names the owner, and the next test, which collects the rest, passes."""
    suite.makepyfile(test_it=PRELUDE + LEAKS[leak] + AFTERWARDS)

    ended = suite.runpytest_subprocess("-p", "tests.left_open")

    ended.assert_outcomes(passed=2, errors=1)
    ended.stdout.fnmatch_lines(["ERROR test_it.py::test_leaks - Failed: left open:*"])


def test_what_a_wider_fixture_holds_is_its_own(suite: pytest.Pytester) -> None:
    """A pool that many tests share is closed by its fixture, and no test is blamed for it."""
    suite.makepyfile(test_it=PRELUDE + HELD)

    suite.runpytest_subprocess("-p", "tests.left_open").assert_outcomes(passed=2)
