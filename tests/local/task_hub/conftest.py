"""One task hub for all tests of this folder, with a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from durabletask.client import TaskHubGrpcClient

from tests.local.task_hub.hub_process import HubProcess


@pytest.fixture
def client(hub: HubProcess) -> Iterator[TaskHubGrpcClient]:
    """Connect a client to the hub."""
    connected = TaskHubGrpcClient(host_address=hub.address)
    yield connected
    connected.close()


@pytest.fixture
def effects(tmp_path: Path) -> Path:
    """Return the file in which workers note what they have done."""
    return tmp_path / "effects"
