"""One local Azure whose settings, rights and services the tests break, and repair again."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from local.supervisor import LocalAzure, Options
from local.supervisor.layout import REPOSITORY
from tests.azure_option import as_asked

RUNNER = Path(__file__).with_name("runner.py")
SECONDS = 60
LEAST_THROUGHPUT = 400  # RU/s of a container that was given no more


class Clinic:
    """A local Azure, and a doctor beside it."""

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure
        self.environment = azure.app_environment()
        self._runner = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, str(RUNNER)],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def examine(
        self,
        changed: Mapping[str, str] | None = None,
        /,
        *,
        probing: bool = False,
        requirements: Path | None = None,
        ahead: float = 0,
        seconds: float = 3600,
        **variables: str,
    ) -> list[dict[str, str]]:
        """Return the lines for the app's environment with these variables changed."""
        assert self._runner.stdin is not None
        assert self._runner.stdout is not None
        asked = {
            "environment": {**self.environment, **(changed or {}), **variables},
            "probing": probing,
            "requirements": str(requirements or REPOSITORY / "requirements.txt"),
            "ahead": ahead,
            "seconds": seconds,
        }
        self._runner.stdin.write(json.dumps(asked) + "\n")
        self._runner.stdin.flush()
        lines: list[dict[str, str]] = json.loads(self._runner.stdout.readline())
        return lines

    def control(self, service: str, method: str, path: str, body: Any = None) -> Any:
        """Call a service's control endpoint."""
        url = f"{self.azure.layout.url(service)}/_control/{path}"
        answer = requests.request(method, url, json=body, verify=str(self.azure.ca_bundle), timeout=SECONDS)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def close(self) -> None:
        """End the doctor."""
        assert self._runner.stdin is not None
        assert self._runner.stdout is not None
        self._runner.stdin.close()
        self._runner.wait(SECONDS)
        self._runner.stdout.close()


@contextlib.contextmanager
def clinic_on(state: Path, limits: Literal["service", "off"]) -> Iterator[Clinic]:
    """Open a clinic on a local Azure of its own."""
    options = as_asked(Options(state=state, deks=3, bits=2048, vault_limits=limits, partitions=3))
    with LocalAzure(options).running() as azure:
        clinic = Clinic(azure)
        yield clinic
        clinic.close()


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The clinic of these tests.

    Its vault has no limits: each examination asks for a creation, of which a vault takes twenty in ten seconds.
    """
    with clinic_on(tmp_path_factory.mktemp("azure"), "off") as found:
        yield found


@pytest.fixture(scope="module")
def limited_clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic of the module's own whose vault has Azure's limits, for the probes that use them up."""
    with clinic_on(tmp_path_factory.mktemp("azure"), "service") as found:
        yield found


@contextlib.contextmanager
def throttled(clinic: Clinic) -> Iterator[None]:
    """Give containers the throughput that Azure gives the throw-away one."""
    clinic.control("cosmos", "POST", "settings", {"throughput": LEAST_THROUGHPUT})
    try:
        yield
    finally:
        clinic.control("cosmos", "POST", "settings", {"throughput": None})


@contextlib.contextmanager
def armed(clinic: Clinic, service: str, **rule: object) -> Iterator[None]:
    """Let a service answer otherwise than Azure does."""
    clinic.control(service, "POST", "faults", {"count": None, **rule})
    try:
        yield
    finally:
        clinic.control(service, "DELETE", "faults")
