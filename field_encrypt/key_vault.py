"""One MEK in Azure Key Vault: its versions, wraps with the cached public key, unwraps by the vault.

* A wrap never calls the vault: the public key of an explicitly fetched version does it in this process.
* An unwrap calls the vault exactly once, always under an explicit version; the version is fetched once before that, so
  that the SDK's own lazy fetch, which swallows its failures and repeats itself, never happens.
* A throttled unwrap is raised at once, Retry-After or not: who paces the calls has to know. Answers of 500, 503
  and 504 are repeated by the SDK as it always does.
* An expired version still unwraps (the service allows it); a disabled one does not.
"""

import asyncio
import ipaddress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, override
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpResponse, AsyncHttpTransport, HttpRequest
from azure.keyvault.keys import KeyVaultKey
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient as LocalCryptographyClient
from azure.keyvault.keys.crypto import KeyWrapAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient

from field_encrypt.errors import InvalidSettingError
from field_encrypt.mek_errors import ForeignMekError, MekNotUsableError, MekVersionNotFoundError, UnwrapRefusedError
from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from field_encrypt.rows import same_name
from field_encrypt.vault_failures import interpret


class NoRetryOfThrottledPost(AsyncRetryPolicy[Any, Any]):
    """The SDK's retries, except that a throttled POST is given back at once, with or without Retry-After."""

    @override
    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        throttled = response.http_response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        if throttled and response.http_request.method == "POST":
            return False
        return bool(super().is_retry(settings, response))


def client_options(
    transport: AsyncHttpTransport[HttpRequest, AsyncHttpResponse], *, verify_challenge_resource: bool
) -> dict[str, Any]:
    """Return the options of one client; clients may share a transport, but a policy belongs to one pipeline."""
    return {
        "transport": transport,
        "retry_policy": NoRetryOfThrottledPost(),
        "verify_challenge_resource": verify_challenge_resource,
    }


def require_safe_challenge(vault_url: str, *, verify_challenge_resource: bool) -> None:
    """Check that the service at the vault's URL may be given a token.

    The verification keeps a foreign host from asking for a token of another resource. Only a vault on this machine
    may go without it.

    Raises:
        InvalidSettingError: the verification is off, and the vault is not on loopback.
    """
    if not verify_challenge_resource and not _is_loopback(urlsplit(vault_url).hostname or ""):
        raise InvalidSettingError("verify_challenge_resource", f"true, because {vault_url} is not on loopback")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# RSA-OAEP (SHA-1) is there for rows of older writers; RSA1_5 is not, it has known attacks.
ALGORITHMS: Final = {
    "RSA-OAEP": KeyWrapAlgorithm.rsa_oaep,
    "RSA-OAEP-256": KeyWrapAlgorithm.rsa_oaep_256,
}


class MekClient:
    """The versions of one MEK and the operations under them, for one event loop."""

    def __init__(
        self,
        vault_url: str,
        mek_name: str,
        credential: AsyncTokenCredential,
        *,
        verify_challenge_resource: bool = True,
        transport: AsyncHttpTransport[HttpRequest, AsyncHttpResponse] | None = None,
    ) -> None:
        """Make a client; ``transport`` replaces the SDK's own and is closed with the client.

        Raises:
            InvalidSettingError: the challenge is not to be verified, and the vault is not on loopback.
        """
        require_safe_challenge(vault_url, verify_challenge_resource=verify_challenge_resource)
        self.vault_url = vault_url.rstrip("/")
        self.mek_name = mek_name
        self._credential = credential
        self._verify_challenge_resource = verify_challenge_resource
        self._transport = transport or AioHttpTransport()  # one connection pool for all clients below
        self._keys = KeyClient(self.vault_url, credential, **self._options())
        self._versions: dict[str, MekVersion] = {}
        self._remote: dict[str, CryptographyClient] = {}
        self._local: dict[str, LocalCryptographyClient] = {}
        self._first_fetch = asyncio.Lock()

    async def get_version(self, version: str) -> MekVersion:
        """Return a version from the cache, or fetch it; its ``enabled`` is as old as the fetch.

        Raises:
            MekError: the vault does not give it.
        """
        return self._versions.get(version) or await self.fetch_version(version)

    async def fetch_version(self, version: str) -> MekVersion:
        """Fetch a version as it is now.

        Raises:
            MekError: the vault does not give it.
        """
        return self._remember(await self._get_key(version))

    async def list_versions(self) -> list[MekVersionProperties]:
        """List the properties of every version, in no particular order.

        Raises:
            MekError: the vault does not give them.
        """
        try:
            listed = self._keys.list_properties_of_key_versions(self.mek_name)
            return [MekVersionProperties.of(properties) async for properties in listed]
        except AzureError as error:
            raise interpret(error, self.mek_name, None, "list versions") from error

    async def enabled_versions(self) -> list[str]:
        """List the ids of the enabled versions, newest first.

        Raises:
            MekError: the vault does not give them.
        """
        newest_first = sorted(await self.list_versions(), key=MekVersionProperties.age_order, reverse=True)
        return [found.version for found in newest_first if found.enabled]

    async def newest_enabled(self) -> MekVersion:
        """Fetch the newest version under which DEKs may be wrapped now.

        Raises:
            MekNotUsableError: there is none.
            MekError: the vault does not give it.
        """
        newest = self._remember(await self._get_key(None))
        if newest.wrap_problem() is None:
            return newest
        # The vault's own newest is disabled, expired or not valid yet. Creation times have a resolution of a second,
        # which is why the listing is the second choice.
        listed = [properties for properties in await self.list_versions() if properties.problem() is None]
        for properties in sorted(listed, key=MekVersionProperties.age_order, reverse=True):
            version = await self.fetch_version(properties.version)
            if version.wrap_problem() is None:
                return version
        raise MekNotUsableError(self.mek_name, None, "no version is enabled and valid for wrapping")

    def wrap(self, dek: bytes, version: MekVersion, algorithm: str = "RSA-OAEP-256") -> bytes:
        """Wrap in this process with the version's public key; never calls the vault.

        Raises:
            MekNotUsableError: nothing may be wrapped under the version, or not with this algorithm.
            ForeignMekError: the version belongs to another MEK.
        """
        vault = f"{self.vault_url}/"
        if not (same_name(version.mek_name, self.mek_name) and same_name(version.key_id[: len(vault)], vault)):
            raise ForeignMekError(self.mek_name, version.version, f"this client does not serve {version.key_id}")
        if problem := version.wrap_problem():
            raise MekNotUsableError(self.mek_name, version.version, f"nothing may be wrapped under it: {problem}")
        if algorithm not in ALGORITHMS:
            raise MekNotUsableError(self.mek_name, version.version, _unknown_algorithm(algorithm))
        local = self._local.get(version.version)
        if local is None:
            local = LocalCryptographyClient.from_jwk(version.jwk.model_dump())
            self._local[version.version] = local
        return local.wrap_key(ALGORITHMS[algorithm], dek).encrypted_key

    async def unwrap(self, wrapped: bytes, version: str, algorithm: str) -> bytes:
        """Have the vault unwrap under exactly this version.

        Raises:
            MekError: of the kind that the vault's answer means.
        """
        if not version:
            raise MekVersionNotFoundError(self.mek_name, None, "unwrap: a version must be named")
        if algorithm not in ALGORITHMS:
            raise UnwrapRefusedError(self.mek_name, version, _unknown_algorithm(algorithm))
        client = await self._remote_client(version)
        try:
            return (await client.unwrap_key(ALGORITHMS[algorithm], wrapped)).key
        except AzureError as error:
            raise interpret(error, self.mek_name, version, "unwrap") from error

    async def close(self) -> None:
        """Close the connections; the credential stays open, it is the caller's."""
        await self._keys.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _get_key(self, version: str | None) -> KeyVaultKey:
        try:
            return await self._keys.get_key(self.mek_name, version)
        except AzureError as error:
            raise interpret(error, self.mek_name, version, "get") from error

    async def _remote_client(self, version: str) -> CryptographyClient:
        if version not in self._remote:
            async with self._first_fetch:
                await self.get_version(version)
        return self._remote[version]

    def _remember(self, key: KeyVaultKey) -> MekVersion:
        version = MekVersion.fetched(key)
        self._versions[version.version] = version
        if version.version not in self._remote:
            self._remote[version.version] = CryptographyClient(key, self._credential, **self._options())
        return version

    def _options(self) -> dict[str, Any]:
        return client_options(self._transport, verify_challenge_resource=self._verify_challenge_resource)


def _unknown_algorithm(algorithm: str) -> str:
    return f"algorithm {algorithm!r}: expected one of {', '.join(ALGORITHMS)}"
