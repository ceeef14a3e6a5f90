"""Loans: disabled versions that are enabled for the time of a restore, and disabled again afterwards.

A tag says to which run a version is lent, so that exactly what was enabled is disabled again, whoever dies in between.
All other tags stay: the version goes back to being retired by whom it was.
"""

from collections.abc import Collection

from field_encrypt.mek_versions import MekVersionProperties
from keyturn.key_vault.versions import MekVersions

LENT_TO_TAG = "keyturn-lent-to"


class Loans:
    """The versions that are lent to one run."""

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
        """Return what is lent to the run, oldest first."""
        return [found.version for found in (await self._versions.states()).values() if self._has(found)]

    async def take_back(self, version: str) -> None:
        """Disable a version again that is lent to the run.

        Raises:
            KeyturnError: of the kind that the vault's answer means.
        """
        found = (await self._versions.states())[version]
        if self._has(found):
            tags = {name: value for name, value in found.tags.items() if name != LENT_TO_TAG}
            await self._versions.change(found, enabled=False, tags=tags)

    def _has(self, found: MekVersionProperties) -> bool:
        return found.enabled and found.tags.get(LENT_TO_TAG) == self._run_id
