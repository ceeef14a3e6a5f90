"""The provider ``akv``: wraps under the newest enabled version of a MEK in Key Vault, unwraps under the named one."""

import asyncio
import time
from collections.abc import Callable
from typing import override

from field_encrypt.dek import Dek
from field_encrypt.errors import require_number
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_errors import ForeignMekError
from field_encrypt.mek_versions import MekVersion
from field_encrypt.provider import MekProvider
from field_encrypt.row_states import KEY_ID_SCHEME
from field_encrypt.rows import WrappedDek, same_name

ALGORITHM = "RSA-OAEP-256"
CURRENT_VERSION_MAX_AGE_SECONDS = 60.0


class KeyVaultProvider(MekProvider):
    """Wraps under a version that is at most ``current_version_max_age_seconds`` old in this process's knowledge.

    That age is what a rotation waits for: after it, and the time that one write takes, every writer has moved to the
    new version. A writer that cannot ask wraps nothing.
    """

    def __init__(
        self,
        client: MekClient,
        *,
        current_version_max_age_seconds: float = CURRENT_VERSION_MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the MEK, and how old the answer may be that says which version is current.

        Raises:
            InvalidSettingError: the age is negative, or no number.
        """
        require_number("current_version_max_age_seconds", current_version_max_age_seconds, least=0)
        self._client = client
        self._max_age_seconds = current_version_max_age_seconds
        self._clock = clock
        self._current: tuple[MekVersion, float] | None = None  # the version and when it was asked for
        self._lock = asyncio.Lock()

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap under the current version, in this process.

        Raises:
            MekError: no version is enabled, or the vault does not say which one is current.
        """
        version = await self._current_version()
        return WrappedDek(
            mek_name=version.mek_name,
            mek_version=version.version,
            algorithm=ALGORITHM,
            wrapped=self._client.wrap(dek.reveal(), version, ALGORITHM),
        )

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Unwrap by the vault, under the version that is named.

        Raises:
            ForeignMekError: the DEK is wrapped by another MEK.
            MekError: of the kind that the vault's answer means.
        """
        if not same_name(wrapped.mek_name, self._client.mek_name):
            detail = f"the DEK is wrapped by {wrapped.mek_name}"
            raise ForeignMekError(self._client.mek_name, wrapped.mek_version, detail)
        # Some writers label their rows with the whole key id.
        key_id, label = f"{self._client.vault_url}/keys/{self._client.mek_name}/", wrapped.mek_version
        version = label[len(key_id) :] if same_name(label[: len(key_id)], key_id) else label
        if same_name(version[: len(KEY_ID_SCHEME)], KEY_ID_SCHEME):
            raise ForeignMekError(self._client.mek_name, label, f"the DEK is wrapped by {label}")
        return Dek(await self._client.unwrap(wrapped.wrapped, version, wrapped.algorithm))

    async def _current_version(self) -> MekVersion:
        async with self._lock:
            if self._current is None or self._clock() - self._current[1] >= self._max_age_seconds:
                asked_at = self._clock()  # before the question: an answer is never younger than it looks
                self._current = await self._client.newest_enabled(), asked_at
            return self._current[0]
