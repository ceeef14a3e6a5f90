"""The resource manager shows one account to whoever may read it, and keeps the backup policy it was told."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.mgmt.cosmosdb.aio import CosmosDBManagementClient

from local.identity.roles import COSMOS
from tests.field_encrypt.local_vault import LocalVault
from tests.local.resource_manager.local_manager import ACCOUNT, LocalManager

READER = f"{COSMOS}/read"
SUBSCRIPTION = ACCOUNT.split("/")[2]


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory, vault: LocalVault) -> Iterator[LocalManager]:
    """The resource manager of these tests."""
    running = LocalManager(tmp_path_factory.mktemp("azure"), vault)
    yield running
    running.service.stop()


@pytest.fixture
async def reader(vault: LocalVault) -> AsyncIterator[DefaultAzureCredential]:
    """The credential of a principal that may read accounts."""
    async with vault.credential("reader", READER) as credential:
        yield credential


def client_of(
    manager: LocalManager, vault: LocalVault, credential: DefaultAzureCredential, scope: str | None = None
) -> CosmosDBManagementClient:
    """Return the production client; ``scope`` replaces the manager's own."""
    return CosmosDBManagementClient(
        credential,
        SUBSCRIPTION,
        base_url=manager.url,
        credential_scopes=[scope or f"{manager.url}/.default"],
        transport=vault.transport(),
    )


async def policy_of(client: CosmosDBManagementClient, group: str, account: str) -> Any:
    """Return the backup policy; what the SDK's type has of it depends on its kind."""
    properties = (await client.database_accounts.get(group, account)).properties
    assert properties is not None
    return properties.backup_policy


def code_of(error: HttpResponseError) -> str | None:
    """Return the code in the answer's body."""
    assert error.error is not None
    return error.error.code


async def test_an_account_shows_its_backup_policy(
    manager: LocalManager, vault: LocalVault, reader: DefaultAzureCredential
) -> None:
    """The client reads the policy that was set, with its tier."""
    async with client_of(manager, vault, reader) as client:
        manager.set_backup(type="Continuous", tier="Continuous7Days")
        continuous = await policy_of(client, "tests", "notes")
        manager.set_backup(type="Periodic")
        periodic = await policy_of(client, "TESTS", "Notes")

    assert (continuous.type, continuous.continuous_mode_properties.tier) == ("Continuous", "Continuous7Days")
    assert periodic.type == "Periodic"


async def test_a_policy_survives_a_kill(
    manager: LocalManager, vault: LocalVault, reader: DefaultAzureCredential
) -> None:
    """What was acknowledged is there after the service was killed and started again."""
    manager.set_backup(type="Periodic")
    manager.service.kill()
    manager.service.start()

    async with client_of(manager, vault, reader) as client:
        assert (await policy_of(client, "tests", "notes")).type == "Periodic"


async def test_only_the_one_account_exists(
    manager: LocalManager, vault: LocalVault, reader: DefaultAzureCredential
) -> None:
    """Another name is not found."""
    async with client_of(manager, vault, reader) as client:
        with pytest.raises(ResourceNotFoundError) as refused:
            await client.database_accounts.get("tests", "other")

    assert code_of(refused.value) == "ResourceNotFound"


async def test_reading_needs_its_action(manager: LocalManager, vault: LocalVault) -> None:
    """The rights of the data plane are not enough."""
    async with (
        vault.credential("writer", f"{COSMOS}/readMetadata", f"{COSMOS}/sqlDatabases/*") as credential,
        client_of(manager, vault, credential) as client,
    ):
        with pytest.raises(HttpResponseError) as refused:
            await client.database_accounts.get("tests", "notes")

    assert (refused.value.status_code, code_of(refused.value)) == (403, "AuthorizationFailed")


async def test_a_token_for_another_service_is_refused(
    manager: LocalManager, vault: LocalVault, reader: DefaultAzureCredential
) -> None:
    """A token of the vault does not open the resource manager."""
    async with client_of(manager, vault, reader, "https://vault.azure.net/.default") as client:
        with pytest.raises(ClientAuthenticationError) as refused:
            await client.database_accounts.get("tests", "notes")

    assert code_of(refused.value) == "InvalidAuthenticationToken"


def test_a_request_without_a_token_is_refused(manager: LocalManager) -> None:
    """Nobody is let in without a token."""
    answer = manager.call("GET", ACCOUNT)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AuthenticationFailed")


@pytest.mark.parametrize("body", [{"type": "Never"}, {"tier": "Continuous1Day"}, {"mode": "Periodic"}])
def test_a_policy_that_azure_does_not_have_is_refused(manager: LocalManager, body: dict[str, str]) -> None:
    """The control endpoint takes the policies of the REST reference only."""
    assert manager.call("POST", "/_control/backup", json=body).status_code == 400
