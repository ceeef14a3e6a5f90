"""The recipes of the library's README, and the environment of a process that runs them."""

import re
import uuid

from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from field_encrypt.dek import Dek
from field_encrypt.encoding import to_base64
from local.identity.roles import ROLES
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.field_encrypt.other_systems import write_node, write_text
from tests.local.services import REPOSITORY

README = (REPOSITORY / "field_encrypt" / "README.md").read_text(encoding="utf-8")
RECIPES: dict[str, str] = dict(re.findall(r"### (\d\. [^\n]+)\n.*?```python\n(.*?)```", README, re.DOTALL))
EXAMPLES: dict[str, str] = dict(re.findall(r"### (Example: [^\n]+)\n.*?```python\n(.*?)```", README, re.DOTALL))
PROGRAMS = {**RECIPES, **EXAMPLES}
PRINTED = ["A title\n", "A title 2026-12-24\n", "100\n", "Dana\n", "{'name': 'Dana'}\n"]
PRINTED += ["1 True\n", "An older title\nAn older title 2 True\n", "An older title\nAn older title 2 True\n"]
ROLE_NAMES = ("Key Vault Crypto Service Encryption User", "Cosmos DB Built-in Data Contributor")


async def prepare(program: str, environment: dict[str, str], client: CosmosClient, mek: Mek) -> None:
    """Have in the database what a program of the README works on, and nothing that another program has left."""
    database = client.get_database_client(environment["COSMOS_DATABASE"])
    rows = database.get_container_client("dek_store")
    for row in [row async for row in rows.query_items("SELECT c.id FROM c")]:
        await rows.delete_item(row["id"], row["id"])
    version = (await mek.client.newest_enabled()).version
    if "Node.js" in program:
        await write_node(database, mek, version)
    if "one text" in program:
        await write_text(database, mek, version)
    if program.startswith("Example: every row"):
        wrapped = mek.client.wrap(Dek.generate().reveal(), await mek.client.get_version(version))
        await rows.create_item({"id": "dek-1", "mekVersion": version, "wrappedDek": to_base64(wrapped)})
    if program.startswith("Example"):
        await mek.create()


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
