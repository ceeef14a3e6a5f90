"""The SDK clients that the backend and its seed share, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.identity.aio import DefaultAzureCredential

from field_encrypt.key_vault import MekClient
from local.backend.settings import BackendSettings


@dataclass(frozen=True)
class Clients:
    """What the backend talks to."""

    mek: MekClient
    dek_store: ContainerProxy
    notes: ContainerProxy


@asynccontextmanager
async def open_clients(settings: BackendSettings) -> AsyncIterator[Clients]:
    """Open the clients with the identity that the environment gives.

    Raises:
        InvalidSettingError: the challenge is not to be verified for a vault that is not on loopback.
    """
    async with AsyncExitStack() as stack:
        credential = await stack.enter_async_context(DefaultAzureCredential())
        mek = MekClient(
            settings.azure_keyvault_url,
            settings.field_encrypt_mek_name,
            credential,
            verify_challenge_resource=settings.keyturn_verify_challenge_resource,
        )
        await stack.enter_async_context(mek)
        cosmos = await stack.enter_async_context(CosmosClient(settings.cosmos_endpoint, credential))
        database = cosmos.get_database_client(settings.cosmos_database)
        yield Clients(
            mek=mek,
            dek_store=database.get_container_client(settings.dek_container),
            notes=database.get_container_client(settings.notes_container),
        )
