"""The provider that an environment asks for, by the runbook's variables.

==========================================  ===========================================================================
FIELD_ENCRYPT_ENABLED                       ``true``
FIELD_ENCRYPT_KEY_PROVIDER                  ``akv`` (Azure Key Vault) or ``env`` (a key in the environment)
AZURE_KEYVAULT_URL                          akv: the vault, ``https://...``
FIELD_ENCRYPT_MEK_NAME                      akv: the name of the MEK's key
FIELD_ENCRYPT_KEY                           env: 32 random bytes in base64; not for production
FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE     akv: ``true`` (default), or ``false`` for a vault on loopback
==========================================  ===========================================================================
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential

from field_encrypt.env_provider import KEY_VARIABLE, EnvProvider
from field_encrypt.errors import InvalidSettingError
from field_encrypt.key_vault import MekClient
from field_encrypt.key_vault_provider import KeyVaultProvider
from field_encrypt.provider import MekProvider
from field_encrypt.retrying_provider import RetryingProvider

ENABLED = "FIELD_ENCRYPT_ENABLED"
KEY_PROVIDER = "FIELD_ENCRYPT_KEY_PROVIDER"
VAULT_URL = "AZURE_KEYVAULT_URL"
MEK_NAME = "FIELD_ENCRYPT_MEK_NAME"
VERIFY_CHALLENGE = "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE"
BOOLEANS = {"true": True, "false": False}


@asynccontextmanager
async def provider_from_environment(
    env: Mapping[str, str], *, credential: AsyncTokenCredential | None = None
) -> AsyncIterator[MekProvider]:
    """Open the provider for one event loop; without a credential, ``akv`` takes Azure's default one.

    The provider for a vault waits out throttling for a while, see :class:`field_encrypt.RetryingProvider`.

    Raises:
        InvalidSettingError: a variable is missing or malformed; ``setting`` is its name.
    """
    _require_enabled(env)
    kind = env.get(KEY_PROVIDER)
    if kind == "env":
        yield EnvProvider(env.get(KEY_VARIABLE, ""))
    elif kind == "akv":
        async with mek_from_environment(env, credential=credential) as client:
            yield RetryingProvider(KeyVaultProvider(client))
    else:
        raise InvalidSettingError(KEY_PROVIDER, "akv, or env where it is not production")


@asynccontextmanager
async def mek_from_environment(
    env: Mapping[str, str], *, credential: AsyncTokenCredential | None = None
) -> AsyncIterator[MekClient]:
    """Open the MEK in Key Vault, for one event loop; without a credential, with Azure's default one.

    Raises:
        InvalidSettingError: a variable is missing or malformed, or the provider is another than ``akv``.
    """
    _require_enabled(env)
    if env.get(KEY_PROVIDER) != "akv":
        raise InvalidSettingError(KEY_PROVIDER, "akv: another provider's key has no versions")
    vault_url = matching(env, VAULT_URL, r"https://[^/\s]+/?", "the https URL of the vault")
    mek_name = matching(env, MEK_NAME, r"[0-9A-Za-z-]{1,127}", "the name of a key: letters, digits and hyphens")
    verify = _boolean(env, VERIFY_CHALLENGE, default=True)
    async with AsyncExitStack() as stack:
        if credential is None:
            credential = DefaultAzureCredential()
            stack.push_async_callback(credential.close)
        client = MekClient(vault_url, mek_name, credential, verify_challenge_resource=verify)
        yield await stack.enter_async_context(client)


def _require_enabled(env: Mapping[str, str]) -> None:
    if not _boolean(env, ENABLED, default=False):
        raise InvalidSettingError(ENABLED, "true: there is no provider, and no encryption, where it is off")


def _boolean(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = env.get(name)
    if value is None:
        return default
    if value.lower() not in BOOLEANS:
        raise InvalidSettingError(name, "true or false")
    return BOOLEANS[value.lower()]


def matching(env: Mapping[str, str], name: str, pattern: str, expected: str) -> str:
    """Return a variable's value, which must match the whole pattern.

    Raises:
        InvalidSettingError: it is missing, or does not.
    """
    value = env.get(name, "")
    if re.fullmatch(pattern, value) is None:
        raise InvalidSettingError(name, expected)
    return value
