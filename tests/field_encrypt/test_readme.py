"""The library's README: its examples run as they stand, and it leaves no error and no export out."""

import re
import subprocess
import sys
import uuid

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

import field_encrypt
from field_encrypt import errors, mek_errors
from local.identity.roles import ROLES
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.local.services import REPOSITORY

README = (REPOSITORY / "field_encrypt" / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(import .*?)```", README, re.DOTALL)
EXAMPLES = dict(zip(["asynchronous", "synchronous"], PROGRAMS, strict=True))
EXPECTED = {"asynchronous": "Dana\n38\n", "synchronous": "A title\n"}
ROLE_NAMES = ("Key Vault Crypto Service Encryption User", "Cosmos DB Built-in Data Contributor")


@pytest.fixture
async def environment(vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient, mek: Mek) -> dict[str, str]:
    """The environment of a process on a fresh key and database."""
    await mek.create()
    name = f"readme-{uuid.uuid4().hex[:8]}"
    database = await cosmos_client.create_database(name)
    for container in ("dek_store", "notes"):
        await database.create_container(container, PartitionKey("/id"))
    return {
        "FIELD_ENCRYPT_ENABLED": "true",
        "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
        "AZURE_KEYVAULT_URL": vault.url,
        "FIELD_ENCRYPT_MEK_NAME": mek.name,
        "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "false",
        "COSMOS_ENDPOINT": cosmos.url,
        "COSMOS_DATABASE": name,
        "SSL_CERT_FILE": str(vault.authority),
        "PYTHONPATH": str(REPOSITORY),
        **vault.principal(name, *(action for role in ROLE_NAMES for action in ROLES[role])),
    }


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_example_runs_as_it_stands(kind: str, environment: dict[str, str]) -> None:
    """The example of each kind, copied from the README into a file, does what it says."""
    ended = subprocess.run(  # noqa: ASYNC221, S603 - the services are processes of their own; the command is ours
        [sys.executable, "-W", "error", "-c", EXAMPLES[kind]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (EXPECTED[kind], "") == (ended.stdout, ended.stderr)


def test_every_error_is_in_the_table() -> None:
    """Whoever catches an error finds what to do about it."""
    families = {"FieldEncryptError", "OpeningError", "MekError"}
    kinds = {
        name
        for module in (errors, mek_errors)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, errors.FieldEncryptError)
    }

    assert kinds - families == set(re.findall(r"`(\w+Error)`", README)) - families


def test_every_export_but_plain_data_is_explained() -> None:
    """What the package exports is in the README."""
    explained = set(re.findall(r"\w+", README))

    assert {"MekClient", "KeyVaultProvider", "PatientProvider", "EnvProvider", "WrappedDek"} >= (
        set(field_encrypt.__all__) - explained
    )


def test_every_file_is_in_the_table() -> None:
    """A newcomer finds each module's concern."""
    modules = {path.name for path in (REPOSITORY / "field_encrypt").glob("*.py")} - {"__init__.py"}

    assert modules == set(re.findall(r"`(\w+\.py)`", README))
