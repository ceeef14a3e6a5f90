"""Everything that an environment describes, opened for one event loop: the provider, the dek store, the cache in step.

==========================================  ===========================================================================
COSMOS_ENDPOINT                             the account, ``https://...``
COSMOS_DATABASE                             the database of the dek store and of the documents
FIELD_ENCRYPT_DEK_CONTAINER                 the dek store, ``dek_store`` by default
==========================================  ===========================================================================

and the variables of :mod:`field_encrypt.environment`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.identity.aio import DefaultAzureCredential

from field_encrypt import env_provider
from field_encrypt.dek_cache import DekCache
from field_encrypt.dek_store import DekStore
from field_encrypt.environment import (
    KEY_PROVIDER,
    MEK_NAME,
    matching,
    mek_from_environment,
    provider_from_environment,
)
from field_encrypt.follower import DekFollower
from field_encrypt.key_vault import MekClient
from field_encrypt.provider import MekProvider
from field_encrypt.rows import RowCodec, RowDefaults

COSMOS_ENDPOINT: Final = "COSMOS_ENDPOINT"
COSMOS_DATABASE: Final = "COSMOS_DATABASE"
DEK_CONTAINER: Final = "FIELD_ENCRYPT_DEK_CONTAINER"
CLOSING_SECONDS: Final = 5.0  # for a poll that is under way; a store that does not answer is not waited for
_NAME: Final = r"[^/\\?#]{1,255}"  # Cosmos DB's own rule for names of databases and containers


@dataclass(frozen=True, slots=True)
class Resources:
    """What a :class:`field_encrypt.FieldEncryption` is made of."""

    provider: MekProvider
    dek_store: DekStore
    cache: DekCache
    database: DatabaseProxy


@asynccontextmanager
async def open_environment(
    env: Mapping[str, str], *, credential: AsyncTokenCredential | None = None, codec: RowCodec | None = None
) -> AsyncIterator[Resources]:
    """Open what the environment describes; without a credential, with Azure's default one.

    Raises:
        InvalidSettingError: a variable is missing or malformed; ``setting`` is its name.
        AzureError: the Cosmos DB account does not answer, or knows no such identity.
    """
    names = _Names.read(env)
    async with AsyncExitStack() as stack:
        credential = await _credential(stack, credential)
        provider = await stack.enter_async_context(provider_from_environment(env, credential=credential))
        database = await names.open_database(stack, credential)
        dek_store = DekStore(database.get_container_client(names.dek_container), _defaults(env), codec=codec)
        cache = DekCache()
        await stack.enter_async_context(_following(DekFollower(dek_store, cache)))
        yield Resources(provider, dek_store, cache, database)


@asynccontextmanager
async def open_for_rewrap(
    env: Mapping[str, str], *, credential: AsyncTokenCredential | None = None, codec: RowCodec | None = None
) -> AsyncIterator[tuple[DekStore, MekClient]]:
    """Open the dek store and the MEK that the environment describes: what :func:`field_encrypt.rewrap_all` needs.

    Raises:
        InvalidSettingError: a variable is missing or malformed, or the provider is another than ``akv``.
    """
    names = _Names.read(env)
    async with AsyncExitStack() as stack:
        credential = await _credential(stack, credential)
        mek = await stack.enter_async_context(mek_from_environment(env, credential=credential))
        database = await names.open_database(stack, credential)
        yield DekStore(database.get_container_client(names.dek_container), _defaults(env), codec=codec), mek


@dataclass(frozen=True, slots=True)
class _Names:
    """Where the rows are."""

    endpoint: str
    database: str
    dek_container: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            matching(env, COSMOS_ENDPOINT, r"https://[^/\s]+/?", "the https URL of the Cosmos DB account"),
            matching(env, COSMOS_DATABASE, _NAME, "the name of a database"),
            matching({DEK_CONTAINER: "dek_store", **env}, DEK_CONTAINER, _NAME, "the name of a container"),
        )

    async def open_database(self, stack: AsyncExitStack, credential: AsyncTokenCredential) -> DatabaseProxy:
        client = CosmosClient(self.endpoint, credential)
        stack.push_async_exit(client)  # before it is entered, which asks the account: it is closed if that fails
        await client.__aenter__()
        return client.get_database_client(self.database)


async def _credential(stack: AsyncExitStack, given: AsyncTokenCredential | None) -> AsyncTokenCredential:
    return await stack.enter_async_context(DefaultAzureCredential()) if given is None else given


def _defaults(env: Mapping[str, str]) -> RowDefaults:
    if env[KEY_PROVIDER] == "env":
        return RowDefaults(mek_name=env_provider.MEK_NAME, algorithm=env_provider.ALGORITHM)
    return RowDefaults(mek_name=env[MEK_NAME])


@asynccontextmanager
async def _following(follower: DekFollower) -> AsyncIterator[None]:
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        follower.stop()
        await asyncio.wait([task], timeout=CLOSING_SECONDS)
        task.cancel()  # of no effect if it has ended
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()  # an error of its own is not to be lost
