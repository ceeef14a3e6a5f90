"""A task hub and a ``keyturn`` container, as the triggers use them."""

import json
from collections.abc import AsyncIterator

import azure.durable_functions as df
import pytest

from tests.local.task_hub.hub_process import HubProcess


@pytest.fixture
async def durable(hub: HubProcess) -> AsyncIterator[df.DurableFunctionsClient]:
    """Connect the durable client as the host's binding does."""
    client = durable_client(hub.address)
    yield client
    await client.close()


def durable_client(address: str) -> df.DurableFunctionsClient:
    """Return a durable client of the hub at this address."""
    return df.DurableFunctionsClient(json.dumps({"taskHubName": "tests", "rpcBaseUrl": address}))
