"""Readiness: a round trip through the vault on a throw-away DEK, and both containers."""

from collections.abc import Awaitable, Callable

from azure.core.exceptions import AzureError

from field_encrypt.dek import Dek
from field_encrypt.errors import FieldEncryptError
from field_encrypt.provider import MekProvider
from local.backend.clients import Clients

READY = "ok"


async def check(clients: Clients, provider: MekProvider) -> dict[str, str]:
    """Return ``ok`` or the type of the failure for each dependency."""

    async def vault() -> None:
        await provider.unwrap(await provider.wrap(Dek.generate()))

    return {
        "keyVault": await _outcome(vault),
        "dekStore": await _outcome(clients.dek_store.read),
        "notes": await _outcome(clients.notes.read),
    }


async def _outcome(call: Callable[[], Awaitable[object]]) -> str:
    try:
        await call()
    except (FieldEncryptError, AzureError) as error:
        return type(error).__name__
    return READY
