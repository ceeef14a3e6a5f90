"""``python -m local.seed --bits B``: creates what is missing and leaves what is there.

Its environment is a client's: endpoints, an identity, a CA bundle; and ``COSMOS_MASTER_KEY``, because no identity may
create a database or a container, as in Azure.
"""

import argparse
import asyncio
import os
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.keys.aio import KeyClient

# Setting that names a container -> the path it is partitioned by, its default time to live, and the paths that alone it
# indexes (None: every path), all as infra/ sets them.
CONTAINERS = {
    "DEK_CONTAINER": ("/id", None, ("/mekName/?", "/mekVersion/?")),
    "NOTES_CONTAINER": ("/workspaceId", None, None),
    "KEYTURN_CONTAINER": ("/keyring", -1, ("/keyring/?", "/kind/?", "/fencingToken/?", "/sequence/?")),
}


def indexing_only(paths: tuple[str, ...] | None) -> dict[str, Any] | None:
    """Return the policy that indexes these paths and no other, or None, for Azure's default, where all are indexed."""
    if paths is None:
        return None
    included = [{"path": path} for path in paths]
    return {"indexingMode": "consistent", "includedPaths": included, "excludedPaths": [{"path": "/*"}]}


async def create_containers() -> None:
    """Create the database and its containers where they are missing."""
    async with CosmosClient(os.environ["COSMOS_ENDPOINT"], os.environ["COSMOS_MASTER_KEY"]) as client:
        database = await client.create_database_if_not_exists(os.environ["COSMOS_DATABASE"])
        for variable, (path, ttl, paths) in CONTAINERS.items():
            await database.create_container_if_not_exists(
                os.environ[variable], PartitionKey(path), default_ttl=ttl, indexing_policy=indexing_only(paths)
            )


async def create_mek(bits: int) -> None:
    """Create the first version of the MEK where there is none."""
    name = os.environ["FIELD_ENCRYPT_MEK_NAME"]
    async with (
        DefaultAzureCredential() as credential,
        KeyClient(os.environ["AZURE_KEYVAULT_URL"], credential, verify_challenge_resource=False) as keys,
    ):
        try:
            await keys.get_key(name)
        except ResourceNotFoundError:
            await keys.create_rsa_key(name, size=bits)


async def seed(bits: int) -> None:
    """Create what is missing."""
    await create_containers()
    await create_mek(bits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.seed")
    parser.add_argument("--bits", type=int, default=4096, help="size of the MEK's first version")
    asyncio.run(seed(parser.parse_args().bits))
