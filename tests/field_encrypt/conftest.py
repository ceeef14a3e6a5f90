"""Services and keys that the tests of the library share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.field_encrypt.local_vault import LocalVault, Mek


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVault]:
    """A vault without limits on an empty folder."""
    running = LocalVault(tmp_path_factory.mktemp("field_encrypt"))
    yield running
    running.stop()


@pytest.fixture
async def mek(vault: LocalVault) -> AsyncIterator[Mek]:
    """A key of its own for each test, with no version yet."""
    key = Mek(vault)
    yield key
    await key.close()
    vault.control("DELETE", "faults")
