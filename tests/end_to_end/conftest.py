"""One local Azure for the end-to-end tests of a worker; each test leaves it fit for the next rotation."""

from collections.abc import AsyncIterator, Iterator

import pytest

from local.supervisor import LocalAzure, Options
from tests.end_to_end.stage import Stage

# Durations of a rotation, as short as the conditions that tests wait for allow.
QUICK = {
    "KEYTURN_SOAK": "PT1S",
    "KEYTURN_QUIET_INTERVAL": "PT0.5S",
    "KEYTURN_TAIL_INTERVAL": "PT0.5S",
    "KEYTURN_WATCH": "PT1S",
    "KEYTURN_WATCH_INTERVAL": "PT0.5S",
    "KEYTURN_CREATION_SETTLE": "PT2S",
    "KEYTURN_PAGE_ROWS": "25",
}


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure with sixty notes, three partitions and a vault without limits."""
    options = Options(
        state=tmp_path_factory.mktemp("azure"),
        deks=60,
        bits=2048,
        vault_limits="off",
        partitions=3,
        settings=QUICK,
    )
    with LocalAzure(options).running() as running:
        yield running


@pytest.fixture
async def stage(azure: LocalAzure) -> AsyncIterator[Stage]:
    """The stage, without faults from earlier tests."""
    async with Stage(azure) as opened:
        yield opened
        for service in ("key_vault", "cosmos", "functions_host", "backend"):
            opened.control(service, "DELETE", "faults")


@pytest.fixture(scope="module")
async def one_version(azure: LocalAzure) -> AsyncIterator[None]:
    """Leave one enabled version behind, and every row on it, after tests that work with several."""
    yield
    async with Stage(azure) as opened:
        await opened.rotate()
