"""A MEK in Key Vault at the pace of one page."""

from typing import override

from field_encrypt import KeyVaultProvider, MekClient, MekProvider
from field_encrypt.dek import Dek
from field_encrypt.rows import WrappedDek
from keyturn.key_vault.pacing import PacedVault, Pacer


class PacedProvider(MekProvider):
    """Wraps in this process, under the newest enabled version; unwraps are calls, and keep the page's pace."""

    def __init__(self, mek: MekClient, pacer: Pacer) -> None:
        self._provider = KeyVaultProvider(mek)
        self._vault = PacedVault(mek, pacer)

    @override
    async def wrap(self, dek: Dek) -> WrappedDek:
        """Wrap; which version is current is asked at most once a minute.

        Raises:
            MekError: no version may be wrapped under, or the vault does not say which one is current.
        """
        return await self._provider.wrap(dek)

    @override
    async def unwrap(self, wrapped: WrappedDek) -> Dek:
        """Have the vault unwrap, again where it is throttled or does not answer.

        Raises:
            MekError: the vault's refusal, which another attempt does not change.
            UnavailableError: it was throttled or away in every attempt.
        """
        return await self._vault.patiently(lambda: self._provider.unwrap(wrapped))
