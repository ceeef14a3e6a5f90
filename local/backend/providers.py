"""Writers that do not follow the current version: one held at a version, and one that can be held at run time."""

from typing import override

from field_encrypt.dek import Dek
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_versions import MekVersion
from field_encrypt.provider import MekProvider
from field_encrypt.rows import WrappedDek


class FixedVersionProvider(MekProvider):
    """Wraps under one version as it was when it was fetched, whatever has become of it; never unwraps."""

    def __init__(self, client: MekClient, version: MekVersion, algorithm: str = "RSA-OAEP-256") -> None:
        self._client = client
        self._version = version
        self._algorithm = algorithm

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap under the fixed version.

        Raises:
            MekNotUsableError: the version was not usable when it was fetched.
        """
        return WrappedDek(
            mek_name=self._version.mek_name,
            mek_version=self._version.version,
            algorithm=self._algorithm,
            wrapped=self._client.wrap(dek.reveal(), self._version, self._algorithm),
        )

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Refuse: this provider belongs to a writer."""
        raise NotImplementedError("a writer that is held at a version unwraps nothing")


class PinnableProvider(MekProvider):
    """The backend's provider, whose wraps can be pinned: a stale writer that has not noticed a rotation."""

    def __init__(self, provider: MekProvider, client: MekClient) -> None:
        self._provider = provider
        self._client = client
        self._pinned: FixedVersionProvider | None = None

    async def pin(self, version: str | None) -> None:
        """Wrap under this version from now on, or under the current one again.

        Raises:
            MekError: the version could not be fetched.
        """
        if version is None:
            self._pinned = None
        else:
            self._pinned = FixedVersionProvider(self._client, await self._client.get_version(version))

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap under the pinned version if there is one."""
        return await (self._pinned or self._provider).wrap(dek)

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Unwrap as the provider does."""
        return await self._provider.unwrap(wrapped)
