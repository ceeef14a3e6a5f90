"""The provider that the runbook's variables ask for, and the variable at fault where they do not."""

import base64
from typing import Any

import pytest

from field_encrypt import EnvProvider, RetryingProvider, provider_from_environment
from field_encrypt.errors import InvalidSettingError
from tests.field_encrypt.local_vault import Mek

KEY = base64.b64encode(bytes(range(32))).decode()
ENV = {"FIELD_ENCRYPT_ENABLED": "true", "FIELD_ENCRYPT_KEY_PROVIDER": "env", "FIELD_ENCRYPT_KEY": KEY}
AKV = {
    "FIELD_ENCRYPT_ENABLED": "TRUE",
    "FIELD_ENCRYPT_KEY_PROVIDER": "akv",
    "AZURE_KEYVAULT_URL": "https://notes.vault.azure.net/",
    "FIELD_ENCRYPT_MEK_NAME": "notes-mek",
}


async def test_env_gives_a_provider_with_the_key() -> None:
    """The key of the environment is the MEK."""
    async with provider_from_environment(ENV) as provider:
        assert isinstance(provider, EnvProvider)


async def test_akv_gives_a_retrying_provider_on_the_vault(mek: Mek) -> None:
    """The vault is reached with the identity that the caller or the environment gives."""
    async with provider_from_environment(AKV, credential=mek.credential) as given:
        assert isinstance(given, RetryingProvider)
    async with provider_from_environment(AKV) as default:
        assert isinstance(default, RetryingProvider)


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"FIELD_ENCRYPT_ENABLED": None}, "FIELD_ENCRYPT_ENABLED"),
        ({"FIELD_ENCRYPT_ENABLED": "false"}, "FIELD_ENCRYPT_ENABLED"),
        ({"FIELD_ENCRYPT_ENABLED": "yes"}, "FIELD_ENCRYPT_ENABLED"),
        ({"FIELD_ENCRYPT_KEY_PROVIDER": None}, "FIELD_ENCRYPT_KEY_PROVIDER"),
        ({"FIELD_ENCRYPT_KEY_PROVIDER": "AKV"}, "FIELD_ENCRYPT_KEY_PROVIDER"),
        ({"FIELD_ENCRYPT_KEY_PROVIDER": "env"}, "FIELD_ENCRYPT_KEY"),
        ({"AZURE_KEYVAULT_URL": None}, "AZURE_KEYVAULT_URL"),
        ({"AZURE_KEYVAULT_URL": "http://notes.vault.azure.net"}, "AZURE_KEYVAULT_URL"),
        ({"AZURE_KEYVAULT_URL": "https://notes.vault.azure.net/keys/x"}, "AZURE_KEYVAULT_URL"),
        ({"FIELD_ENCRYPT_MEK_NAME": None}, "FIELD_ENCRYPT_MEK_NAME"),
        ({"FIELD_ENCRYPT_MEK_NAME": "notes/mek"}, "FIELD_ENCRYPT_MEK_NAME"),
        ({"FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "no"}, "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE"),
        ({"FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "false"}, "verify_challenge_resource"),
    ],
)
async def test_variable_at_fault_is_named(change: dict[str, Any], setting: str) -> None:
    """A variable that is missing or malformed ends the start with its name."""
    env = {name: value for name, value in {**AKV, **change}.items() if value is not None}

    with pytest.raises(InvalidSettingError) as refusal:
        async with provider_from_environment(env):
            pytest.fail("a provider was opened")

    assert refusal.value.setting == setting
