"""A keyring with rows and versions, and an operator who works on it without the app."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, override

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient

from activities import boundary
from keyturn.access.identity import Identity
from keyturn.clock import Clock
from keyturn.direct.session import Direct, Progress
from keyturn.runs import budget
from tests.field_encrypt.local_cosmos import LocalCosmos, new_container
from tests.field_encrypt.local_vault import ALL_OF_KEYS, LocalVault, Mek
from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring

OPERATOR = Identity("olga@example.com", "0f0f0f0f-1111-2222-3333-444444444444")


class Impatient(Clock):
    """The machine's own clock, with waits of no more than a moment."""

    @override
    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


@pytest.fixture
async def harness(
    vault: LocalVault,
    cosmos: LocalCosmos,
    cosmos_client: CosmosClient,
    container: ContainerProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ActivityHarness]:
    """A keyring with a MEK of one version and an empty dek store, which the app's activities serve, too."""
    mek = Mek(vault, *ALL_OF_KEYS)
    made = await ActivityHarness.create(
        LocalKeyring(mek, cosmos, await new_container(cosmos_client, "deks")), cosmos_client, container
    )

    async def resources() -> Any:
        return made.resources

    monkeypatch.setattr(boundary, "process_resources", resources)
    async for claims in container.query_items("SELECT c.id FROM c", partition_key=budget.PARTITION):
        await container.delete_item(claims["id"], budget.PARTITION)
    yield made
    await made.close()
    await mek.close()
    vault.control("DELETE", "faults")
    cosmos.clear_faults()


@pytest.fixture
def told() -> list[str | Progress]:
    """What the operator is shown."""
    return []


@pytest.fixture
def direct(harness: ActivityHarness, told: list[str | Progress]) -> Direct:
    """The operator's own process."""
    policy = harness.resources.settings.policy.model_copy(update={"page_rows": 5})
    harness.resources.settings = harness.resources.settings.model_copy(update={"policy": policy})
    return Direct(harness.resources, OPERATOR, told.append, Impatient())


def another(direct: Direct, name: str = "lee@example.com") -> Direct:
    """Return the process of another operator."""
    return replace(direct, operator=Identity(name))
