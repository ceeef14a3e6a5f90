"""A keyring of the test's own, into which a recorded run is put, and a task hub that takes its workflows over."""

from collections.abc import Iterator

import pytest

from tests.histories.loading import LoadedHub
from tests.invariants.conftest import harness
from tests.local.services import free_port

__all__ = ["harness"]


@pytest.fixture
def loaded_hub() -> Iterator[LoadedHub]:
    """An empty task hub in this process."""
    hub = LoadedHub(port=free_port())
    hub.start()
    yield hub
    hub.stop()
