"""One task hub and one host of the sample app for the tests of this folder that do not end them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.local.functions_host.host_process import SampleHost
from tests.local.task_hub.hub_process import HubProcess

StartHost = Callable[..., SampleHost]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Run the shared task hub."""
    process = HubProcess(tmp_path_factory.mktemp("hub"))
    yield process
    process.stop()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, hub: HubProcess) -> Iterator[SampleHost]:
    """Run the shared host."""
    running = SampleHost(tmp_path_factory.mktemp("host"), hub)
    yield running
    running.process.kill()


@pytest.fixture
def own_hub(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[HubProcess]:
    """Run a task hub for one test, with the arguments that its parameter gives."""
    process = HubProcess(tmp_path, *getattr(request, "param", ()))
    yield process
    process.stop()


@pytest.fixture
def start_host(tmp_path: Path, own_hub: HubProcess) -> Iterator[StartHost]:
    """Start hosts for one test, on its own hub."""
    started: list[SampleHost] = []

    def start(environment: Mapping[str, str] | None = None, *arguments: str) -> SampleHost:
        started.append(SampleHost(tmp_path / f"host{len(started)}", own_hub, environment, arguments))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
