"""Loans: disabled versions that are enabled for the time of a restore, and disabled again afterwards.

A tag says that a version is lent, so that exactly what was enabled is disabled again, whoever dies in between. All
other tags stay: the version goes back to being retired by whom it was. A keyring has one run at a time, so a loan that
a run left behind when it was lost is the next one's to settle.
"""

from collections.abc import Collection

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.key_vault.versions import LENT_TO_TAG, MekVersions


class Loans:
    """The versions that are lent, and to whom this run lends."""

    def __init__(self, versions: MekVersions, run_id: str) -> None:
        self._versions = versions
        self._run_id = run_id

    async def lend(self, wanted: Collection[str]) -> list[str]:
        """Enable those of the versions that are disabled, and return what is lent, oldest first.

        Raises:
            KeyturnError: of the kind that the vault's answer means.
        """
        for found in (await self._versions.states()).values():
            if found.version in wanted and not found.enabled:
                await self._versions.change(found, enabled=True, tags={**found.tags, LENT_TO_TAG: self._run_id})
        return await self.lent()

    async def lent(self) -> list[str]:
        """Return what is lent, oldest first."""
        return [found.version for found in (await self._versions.states()).values() if is_lent(found)]

    async def take_back(self, version: str) -> None:
        """Disable a version again if it is lent.

        Raises:
            KeyturnError: of the kind that the vault's answer means.
        """
        found = (await self._versions.states())[version]
        if is_lent(found):
            tags = {name: value for name, value in found.tags.items() if name != LENT_TO_TAG}
            await self._versions.change(found, enabled=False, tags=tags)


def is_lent(found: MekVersionProperties) -> bool:
    """Tell whether the version is enabled only for the time of a restore."""
    return found.enabled and LENT_TO_TAG in found.tags
