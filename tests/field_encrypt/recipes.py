"""The recipes of the library's README, and the environment of a process that runs them."""

import re
import uuid

from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from local.identity.roles import ROLES
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.local.services import REPOSITORY

README = (REPOSITORY / "field_encrypt" / "README.md").read_text(encoding="utf-8")
RECIPES: dict[str, str] = dict(re.findall(r"### (\d\. [^\n]+)\n.*?```python\n(.*?)```", README, re.DOTALL))
PRINTED = ["A title\n", "A title 2026-12-24\n", "100\n", "Dana\n", "{'name': 'Dana'}\n"]
ROLE_NAMES = ("Key Vault Crypto Service Encryption User", "Cosmos DB Built-in Data Contributor")


async def environment_of_a_process(
    vault: LocalVault, cosmos: LocalCosmos, client: CosmosClient, mek: Mek
) -> dict[str, str]:
    """Return the environment of a process on a fresh key and database, with the containers that the README names."""
    await mek.create()
    name = f"readme-{uuid.uuid4().hex[:8]}"
    database = await client.create_database(name)
    for container, key in (("dek_store", "/id"), ("notes", "/workspaceId")):
        await database.create_container(container, PartitionKey(key))
    return {
        "FIELD_ENCRYPT_ENABLED": "true",
        "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
        "AZURE_KEYVAULT_URL": vault.url,
        "FIELD_ENCRYPT_MEK_NAME": mek.name,
        "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "false",
        "COSMOS_ENDPOINT": cosmos.url,
        "COSMOS_DATABASE": name,
        "SSL_CERT_FILE": str(vault.authority),
        **vault.principal(name, *(action for role in ROLE_NAMES for action in ROLES[role])),
    }
