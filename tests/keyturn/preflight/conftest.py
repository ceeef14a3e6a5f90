"""A keyring with one version and two rows under it, which passes its pre-flight."""

from collections.abc import Iterator

import pytest

from keyturn.cosmos.state_container import StateContainer
from tests.field_encrypt.local_vault import LocalVault
from tests.keyturn.local_keyring import LocalKeyring
from tests.keyturn.preflight.harness import PreflightHarness
from tests.local.resource_manager.local_manager import LocalManager


@pytest.fixture(scope="session")
def shared_manager(tmp_path_factory: pytest.TempPathFactory, vault: LocalVault) -> Iterator[LocalManager]:
    """The resource manager that all tests share."""
    running = LocalManager(tmp_path_factory.mktemp("manager"), vault)
    yield running
    running.service.stop()


@pytest.fixture
def manager(shared_manager: LocalManager) -> Iterator[LocalManager]:
    """The resource manager as it is for a new account."""
    yield shared_manager
    shared_manager.reset()


@pytest.fixture
async def harness(local_keyring: LocalKeyring, documents: StateContainer, manager: LocalManager) -> PreflightHarness:
    """A keyring that may be rotated."""
    await local_keyring.add_many(2, await local_keyring.mek.create())
    return PreflightHarness(local_keyring, documents, manager)
