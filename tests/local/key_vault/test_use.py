"""Wrap, unwrap, encrypt and decrypt, and what the attributes of a version allow."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity.aio import DefaultAzureCredential as AsyncDefaultAzureCredential
from azure.keyvault.keys import KeyClient, KeyVaultKey
from azure.keyvault.keys.aio import KeyClient as AsyncKeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient as AsyncCryptographyClient

from local.identity.roles import KEYS
from tests.local.key_vault.conftest import LocalVault, version_of

DEK = bytes(range(32))
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# Without the right to read the key, the client cannot work locally: what it does then is done by the vault.
REMOTE_ONLY = ("remote", *(f"{KEYS}/{action}/action" for action in ("wrap", "unwrap", "encrypt", "decrypt")))


def inner_code(error: HttpResponseError) -> str | None:
    """Return the code inside the error's code."""
    assert error.error is not None
    inner: Mapping[str, Any] = error.error.innererror or {}
    return inner.get("code")


@pytest.mark.parametrize("algorithm", [KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa_oaep_256])
def test_what_the_client_wraps_locally_the_vault_unwraps(
    vault: LocalVault, key: KeyVaultKey, algorithm: KeyWrapAlgorithm
) -> None:
    """Both OAEP algorithms are those of the SDK; a local wrap leaves nothing in the vault's log."""
    local = CryptographyClient.from_jwk(key.key)
    wrapped = local.wrap_key(algorithm, DEK).encrypted_key

    before = vault.get("operations", version=version_of(key))
    unwrapped = vault.cryptography(key).unwrap_key(algorithm, wrapped).key
    after = vault.get("operations", version=version_of(key))

    assert unwrapped == DEK
    assert [entry["operation"] for entry in before] == ["create"]
    assert [entry["operation"] for entry in after] == ["create", "unwrap"]


@pytest.mark.parametrize("algorithm", [KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa_oaep_256])
def test_the_vault_wraps_and_unwraps(vault: LocalVault, key: KeyVaultKey, algorithm: KeyWrapAlgorithm) -> None:
    """A client that may not read the key has the vault do both."""
    client = vault.cryptography(key.id, *REMOTE_ONLY)

    wrapped = client.wrap_key(algorithm, DEK)

    assert wrapped.key_id == key.id
    assert client.unwrap_key(algorithm, wrapped.encrypted_key).key == DEK


def test_the_vault_encrypts_and_decrypts(vault: LocalVault, key: KeyVaultKey) -> None:
    """So it does for values."""
    client = vault.cryptography(key.id, *REMOTE_ONLY)

    ciphertext = client.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"value").ciphertext

    assert client.decrypt(EncryptionAlgorithm.rsa_oaep_256, ciphertext).plaintext == b"value"


async def test_the_asynchronous_clients_are_served(
    vault: LocalVault, key: KeyVaultKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The asynchronous clients and credential, which the product uses, work the same."""
    for variable, value in vault.environment("officer", f"{KEYS}/*").items():
        monkeypatch.setenv(variable, value)

    async with (
        AsyncDefaultAzureCredential() as credential,
        AsyncKeyClient(vault.service.url, credential, **vault.options) as keys,
        AsyncCryptographyClient(await keys.get_key(key.name), credential, **vault.options) as client,
    ):
        wrapped = await client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK)
        unwrapped = await client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key)

    assert unwrapped.key == DEK


def test_another_algorithm_or_version_does_not_open_a_wrap(
    vault: LocalVault, keys: KeyClient, key: KeyVaultKey
) -> None:
    """RSA-OAEP and RSA-OAEP-256 are not interchangeable, nor are versions: 400 BadParameter for both."""
    wrapped = CryptographyClient.from_jwk(key.key).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK).encrypted_key
    other = keys.create_rsa_key(key.name, size=2048)

    for target, algorithm in ((key, KeyWrapAlgorithm.rsa_oaep), (other, KeyWrapAlgorithm.rsa_oaep_256)):
        with pytest.raises(HttpResponseError) as caught:
            vault.cryptography(target).unwrap_key(algorithm, wrapped)
        assert caught.value.status_code == 400
        assert caught.value.error is not None
        assert caught.value.error.code == "BadParameter"


def test_rsa1_5_is_refused(vault: LocalVault, key: KeyVaultKey) -> None:
    """The padding that nobody should use is not served."""
    with pytest.raises(HttpResponseError, match="alg"):
        vault.cryptography(key.id, *REMOTE_ONLY).wrap_key(KeyWrapAlgorithm.rsa1_5, DEK)


def test_a_value_longer_than_the_key_allows_is_refused(vault: LocalVault, key: KeyVaultKey) -> None:
    """OAEP-256 under RSA-2048 holds at most 190 bytes."""
    client = vault.cryptography(key.id, *REMOTE_ONLY)

    assert client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, bytes(190)).encrypted_key
    with pytest.raises(HttpResponseError, match="value"):
        client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, bytes(191))


def test_a_disabled_version_does_nothing_but_show_itself(vault: LocalVault, keys: KeyClient, key: KeyVaultKey) -> None:
    """All four operations give 403 with the inner code KeyDisabled; get still answers; enabling brings it back."""
    client = vault.cryptography(key.id, *REMOTE_ONLY)
    wrapped = client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK).encrypted_key
    keys.update_key_properties(key.name, key.properties.version, enabled=False)

    for operation in (
        lambda: client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped),
        lambda: client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK),
        lambda: client.encrypt(EncryptionAlgorithm.rsa_oaep_256, DEK),
        lambda: client.decrypt(EncryptionAlgorithm.rsa_oaep_256, wrapped),
    ):
        with pytest.raises(HttpResponseError, match="is not allowed on a disabled key") as caught:
            operation()
        assert caught.value.status_code == 403
        assert caught.value.error is not None
        assert (caught.value.error.code, inner_code(caught.value)) == ("Forbidden", "KeyDisabled")
    assert keys.get_key(key.name, key.properties.version).properties.enabled is False
    keys.update_key_properties(key.name, key.properties.version, enabled=True)
    assert client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == DEK


@pytest.mark.parametrize(
    ("attributes", "code"), [({"expires_on": PAST}, "KeyExpired"), ({"not_before": FUTURE}, "KeyNotYetValid")]
)
def test_a_version_outside_its_validity_opens_but_does_not_protect(
    vault: LocalVault, keys: KeyClient, key: KeyVaultKey, attributes: dict[str, datetime], code: str
) -> None:
    """Unwrap and decrypt work on expired and not yet valid versions; wrap and encrypt give 403."""
    client = vault.cryptography(key.id, *REMOTE_ONLY)
    wrapped = client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK).encrypted_key
    keys.update_key_properties(key.name, key.properties.version, **attributes)  # type: ignore[arg-type]  # two of its options

    assert client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == DEK
    assert client.decrypt(EncryptionAlgorithm.rsa_oaep_256, wrapped).plaintext == DEK
    for operation in (
        lambda: client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK),
        lambda: client.encrypt(EncryptionAlgorithm.rsa_oaep_256, DEK),
    ):
        with pytest.raises(HttpResponseError) as caught:
            operation()
        assert (caught.value.status_code, inner_code(caught.value)) == (403, code)


def test_an_operation_that_the_key_does_not_permit_is_refused(vault: LocalVault, keys: KeyClient, name: str) -> None:
    """The permitted operations of a version hold in the vault as well."""
    key = keys.create_rsa_key(name, size=2048, key_operations=["unwrapKey"])

    with pytest.raises(HttpResponseError) as caught:
        vault.cryptography(key.id, *REMOTE_ONLY).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK)

    assert (caught.value.status_code, inner_code(caught.value)) == (403, "KeyOperationForbidden")


def test_an_unwrap_without_a_version_uses_the_newest_and_says_so(vault: LocalVault, key: KeyVaultKey) -> None:
    """The vault resolves a versionless id to the newest version, and the log tells on the caller."""
    wrapped = CryptographyClient.from_jwk(key.key).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DEK).encrypted_key

    client = vault.cryptography(f"{vault.service.url}/keys/{key.name}", *REMOTE_ONLY)
    unwrapped = client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key

    entry = vault.get("operations", operation="unwrap", version=version_of(key))[-1]
    assert unwrapped == DEK
    assert entry["versionless"] is True
