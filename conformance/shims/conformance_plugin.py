"""The plugin inside the runs of Microsoft's tests: leaves out what is not served, and writes down every outcome."""

import functools
import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.keys._shared import async_client_base, client_base

_outcomes: dict[str, dict[str, Any]] = {}
# Parameters are names of containers, which differ from run to run.
_UNIQUE = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DETAIL = 4000  # characters of a failure that are kept: its end, which names the cause


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take what to leave out, and where to write."""
    parser.addoption("--left-out", help="JSON: patterns of tests that are out of the surface")
    parser.addoption("--outcomes", type=Path, help="JSON file to write")


def pytest_configure() -> None:
    """Let key clients accept that a challenge names vault.azure.net: the vault is on loopback."""
    for client in (client_base.KeyVaultClientBase, async_client_base.AsyncKeyVaultClientBase):
        lenient = functools.partialmethod(client.__init__, verify_challenge_resource=False)
        client.__init__ = lenient  # type: ignore[method-assign,assignment]  # a method by another descriptor


@pytest.fixture(scope="session")
def test_proxy() -> None:
    """Stand for their recording proxy, which Key Vault's tests ask for."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not of the surface."""
    left_out = json.loads(config.getoption("--left-out"))
    dropped = [item for item in items if any(fnmatchcase(_name(item.nodeid), one) for one in left_out)]
    _outcomes.update({_name(item.nodeid): {"outcome": "left out"} for item in dropped})
    items[:] = [item for item in items if item not in dropped]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of a test's three phases."""
    known = _outcomes.setdefault(_name(report.nodeid), {"outcome": "passed", "detail": "", "seconds": 0.0})
    known["seconds"] += report.duration
    if report.failed or (report.skipped and known["outcome"] == "passed"):
        known.update(outcome=report.outcome, detail=str(report.longrepr)[-_DETAIL:])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Count a module that cannot be collected as one test that failed."""
    if report.failed:
        _outcomes[_name(report.nodeid)] = {"outcome": "failed", "detail": str(report.longrepr)[-_DETAIL:]}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes."""
    session.config.getoption("--outcomes").write_text(json.dumps(_outcomes))


def _name(nodeid: str) -> str:
    return _UNIQUE.sub("", nodeid)
