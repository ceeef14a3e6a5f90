"""Containers are made and deleted through the resource manager, by whoever may, and the data plane has them."""

from collections.abc import Iterator

import pytest
from azure.cosmos.aio import CosmosClient

from keyturn.cosmos.account import CosmosAccount
from keyturn.errors import PermissionMissingError
from local.identity.roles import CONTAINERS
from tests.field_encrypt.local_vault import LocalVault
from tests.local.resource_manager.local_manager import ACCOUNT, LocalManager
from tests.local.services import ServiceProcess, start_service


@pytest.fixture(scope="module")
def cosmos(tmp_path_factory: pytest.TempPathFactory, vault: LocalVault) -> Iterator[ServiceProcess]:
    """The data plane of the account."""
    state = tmp_path_factory.mktemp("data") / "cosmos"
    running = start_service(
        "local.cosmos", "--state", state, "--tls", vault.server, "--identity-key", vault.identity_key
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def manager(
    tmp_path_factory: pytest.TempPathFactory, vault: LocalVault, cosmos: ServiceProcess
) -> Iterator[LocalManager]:
    """The resource manager of the account."""
    more = ("--cosmos", cosmos.url, "--ca", vault.authority)
    running = LocalManager(tmp_path_factory.mktemp("azure"), vault, *more)
    yield running
    running.service.stop()


async def test_a_container_is_there_until_it_is_deleted(
    manager: LocalManager, vault: LocalVault, cosmos: ServiceProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is created is served with its partition key and items; once it is deleted, it can be made anew, empty."""
    master_key = next(tmp_path_factory.getbasetemp().glob("data*/cosmos/master_key")).read_text().strip()
    async with (
        vault.credential("maker", f"{CONTAINERS}/write", f"{CONTAINERS}/delete") as credential,
        CosmosClient(cosmos.url, master_key) as client,
    ):
        database = await client.create_database("notes")
        account = CosmosAccount(ACCOUNT, manager.url, credential, transport=vault.transport())
        try:
            await account.create_container("notes", "scratch", "/tenant")
            container = database.get_container_client("scratch")
            await container.create_item({"id": "1", "tenant": "a"})
            paths = (await container.read())["partitionKey"]["paths"]
            await account.delete_container("notes", "scratch")
            left = [found["id"] async for found in database.list_containers()]
            await account.create_container("notes", "scratch", "/tenant")
            async with CosmosClient(cosmos.url, master_key) as other:  # which has seen nothing of the first one
                anew = other.get_database_client("notes").get_container_client("scratch")
                again = [item async for item in anew.read_all_items()]
        finally:
            await account.close()

    assert (paths, left, again) == (["/tenant"], [], [])


async def test_making_needs_its_action(manager: LocalManager, vault: LocalVault) -> None:
    """The right to read the account, or to write items, is not enough."""
    async with vault.credential("writer", f"{CONTAINERS}/items/*", f"{CONTAINERS}/read") as credential:
        account = CosmosAccount(ACCOUNT, manager.url, credential, transport=vault.transport())
        try:
            with pytest.raises(PermissionMissingError, match="may not create containers"):
                await account.create_container("notes", "scratch", "/tenant")
        finally:
            await account.close()
