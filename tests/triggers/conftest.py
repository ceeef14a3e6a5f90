"""A task hub and a ``keyturn`` container, as the triggers use them."""

import json
from collections.abc import AsyncIterator

import azure.durable_functions as df
import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from pydantic import SecretStr

from tests.invariants.harness import ActivityHarness
from tests.keyturn.local_keyring import LocalKeyring
from tests.local.task_hub.hub_process import HubProcess
from tests.triggers.console_visits import SECRET, Console
from triggers import access, console_door


@pytest.fixture
async def durable(hub: HubProcess) -> AsyncIterator[df.DurableFunctionsClient]:
    """Connect the durable client as the host's binding does."""
    client = durable_client(hub.address)
    yield client
    await client.close()


def durable_client(address: str) -> df.DurableFunctionsClient:
    """Return a durable client of the hub at this address."""
    return df.DurableFunctionsClient(json.dumps({"taskHubName": "tests", "rpcBaseUrl": address}))


@pytest.fixture
async def console(
    local_keyring: LocalKeyring,
    cosmos_client: CosmosClient,
    container: ContainerProxy,
    hub: HubProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Console]:
    """The console, on a store, a vault and a task hub; with function keys."""
    harness = await ActivityHarness.create(local_keyring, cosmos_client, container)

    async def resources() -> object:
        return harness.resources

    monkeypatch.setattr(access, "process_resources", resources)
    monkeypatch.setattr(console_door, "process_resources", resources)
    console = Console(harness, hub)
    console.set(approval_webhook_secrets=SecretStr(SECRET))
    yield console
    await harness.close()
