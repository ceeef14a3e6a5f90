"""One local Azure for the end-to-end tests of a worker; each test leaves it fit for the next rotation."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from local.identity.tokens import person_id
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import QUICK
from tests.end_to_end.guarded import GuardedApp
from tests.end_to_end.quick_azure import quick_azure
from tests.end_to_end.tidying import tidy

# What scenarios assert is told as in a test's own file.
pytest.register_assert_rewrite("tests.end_to_end.scenarios", "tests.end_to_end.facts", "tests.end_to_end.play")


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure with sixty notes, three partitions and a vault without limits."""
    with quick_azure(tmp_path_factory.mktemp("azure"), deks=60, partitions=3) as running:
        yield running


@pytest.fixture
async def app(azure: LocalAzure) -> AsyncIterator[AppHarness]:
    """The stage on quick settings, with nothing armed, nothing running and nothing astray from earlier tests."""
    azure.reconfigure(QUICK)
    azure.start("functions_host")
    async with AppHarness(azure) as harness:
        harness.clear_faults()
        await harness.end_what_runs()
        await tidy(harness)
        yield harness
        azure.start("functions_host")  # a test that failed may have left it dead
        harness.clear_faults()


@pytest.fixture(scope="module")
async def tidied(azure: LocalAzure) -> AsyncIterator[None]:
    """Leave one enabled version behind, and every row on it, after tests that work with several."""
    yield
    async with AppHarness(azure) as harness:
        await harness.end_what_runs()
        await tidy(harness)


@pytest.fixture(scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedApp]:
    """A second local Azure: Entra authentication in front of the app."""
    with quick_azure(
        tmp_path_factory.mktemp("guarded"),
        deks=20,
        sign_in=True,
        settings={
            **QUICK,
            "KEYTURN_APPROVERS": json.dumps([person_id(f"{name}@example.com") for name in ("sam", "olga", "dana")]),
            "KEYTURN_PUBLIC_URL": "http://localhost:1",
        },
    ) as running:
        async with GuardedApp(running) as harness:
            yield harness
