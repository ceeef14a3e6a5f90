"""The versions of a keyring's MEK as an administrator sees them: their states, and disabling and enabling them.

Nothing here deletes. What a rotation disables it tags with its id, so that only its own versions are enabled again. A
version that is enabled for the time of a restore has a tag too: exactly what was enabled is disabled again, also by a
later run where the first was lost. All other tags stay.
"""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType

from azure.keyvault.keys.aio import KeyClient

from field_encrypt.key_vault import MekClient
from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from keyturn.errors import InvariantError, ResourceMissingError
from keyturn.key_vault.errors import vault_failures

ROTATION_TAG = "keyturn-rotation"
RETIRED_BY_TAG = "keyturn-retired-by"
RETAIN_UNTIL_TAG = "keyturn-retain-until"
REINSTATED_BY_TAG = "keyturn-reinstated-by"
TEMPORARY_FOR_TAG = "keyturn-lent-to"
UNUSED_TAG = "keyturn-not-in-use-yet"  # a new version, disabled until a backup has it; names its rotation
VERSIONS_MAX = 450  # no more are made: Key Vault backs up no key with more than 500, and nothing deletes a version
ANOTHER_KEY = "move to another key: docs/operations.md, A key that has all its versions"  # what to do then
CHANGE_SECONDS = 10.0  # for the vault to take a change; creation_settle, by default 30 s, must be longer
_STATE_TAGS = frozenset({RETIRED_BY_TAG, RETAIN_UNTIL_TAG, REINSTATED_BY_TAG, TEMPORARY_FOR_TAG})


class MekVersions:
    """Reads and changes the versions of one MEK; every method raises KeyturnError of the kind that a failure means."""

    def __init__(self, keys: KeyClient, mek: MekClient) -> None:
        self.mek = mek
        self._keys = keys

    async def states(self) -> dict[str, MekVersionProperties]:
        """Return every version by its id, oldest first."""
        with vault_failures("list versions", self.mek.mek_name):
            listed = await self.mek.list_versions()
        return {found.version: found for found in sorted(listed, key=MekVersionProperties.age_order)}

    async def fetch(self, version: str) -> MekVersion:
        """Fetch a version with its public key."""
        with vault_failures("get", self.mek.mek_name, version):
            return await self.mek.fetch_version(version)

    async def create(self, size: int, like: MekVersion, tags: dict[str, str], *, answer_within: float) -> str:
        """Create a version of this size and of the kind of another one, disabled, and return its id.

        The SDK would repeat a creation whose answer it did not understand, which makes a second version. Here it does
        not. All of it, connecting and the exchange of a token included, takes ``answer_within`` seconds at most. The
        caller has to look for what a lost answer, an UnavailableError, left behind.
        """
        with vault_failures("create", self.mek.mek_name):
            async with asyncio.timeout(answer_within):  # the SDK's timeouts are of one connection and one read
                created = await self._keys.create_rsa_key(
                    self.mek.mek_name,
                    size=size,
                    hardware_protected=like.jwk.kty == "RSA-HSM",
                    key_operations=sorted({*like.jwk.key_ops, "wrapKey", "unwrapKey"}),
                    enabled=False,
                    tags=tags,
                    retry_total=0,
                    connection_timeout=answer_within,
                    read_timeout=answer_within,
                )
        return MekVersionProperties.of(created.properties).version

    async def retire(
        self, versions: Collection[str], *, target_version: str, run_id: str, retain_until: datetime
    ) -> None:
        """Disable exactly these versions; one that is disabled already stays as it is.

        Raises:
            InvariantError: the target version, or the vault's current one, is among them.
            ResourceMissingError: one of them does not exist.
        """
        states = await self.states()
        if protected := sorted(set(versions) & {target_version, await self.current()}):
            raise InvariantError("the version in use must not be disabled", versions=protected)
        if missing := sorted(set(versions) - states.keys()):
            raise ResourceMissingError("the MEK has no such version", resource="MEK", versions=missing)
        tags = {RETIRED_BY_TAG: run_id, RETAIN_UNTIL_TAG: f"{retain_until:%Y-%m-%d}"}
        for version, found in states.items():
            # One that another rotation disabled late, when it had lost its keyring, must not be enabled by that one.
            if version in versions and (found.enabled or found.tags.get(RETIRED_BY_TAG, run_id) != run_id):
                await self._change(found, enabled=False, tags=tags)

    async def current(self) -> str:
        """Return the version that the vault gives where none is named: creation times only tell seconds apart."""
        with vault_failures("get", self.mek.mek_name):
            return MekVersionProperties.of((await self._keys.get_key(self.mek.mek_name)).properties).version

    async def in_use(self) -> str:
        """Return what writers wrap under: the current version or, where nothing may be, the newest under which it may.

        Where there is none at all, it is the current one.
        """
        states, current = await self.states(), await self.current()
        usable = [name for name, found in states.items() if found.problem() is None]
        return current if current in usable or not usable else usable[-1]

    async def reinstate(self, run_id: str, kept: Mapping[str, str] = MappingProxyType({})) -> list[str]:
        """Enable again what this rotation has disabled, and return it, oldest first; idempotent.

        What is ``kept`` stays disabled, or is disabled again, for the rotation that it is kept disabled by.
        """
        reinstated = []
        for found in (await self.states()).values():
            disabled = not found.enabled and found.tags.get(RETIRED_BY_TAG) == run_id
            enabled = found.enabled and found.tags.get(REINSTATED_BY_TAG) == run_id
            if (disabled or enabled) and (keeper := kept.get(found.version)) is not None:
                if enabled or keeper != run_id:
                    await self._change(found, enabled=False, tags={RETIRED_BY_TAG: keeper})
                continue
            if disabled:
                await self._change(found, enabled=True, tags={REINSTATED_BY_TAG: run_id})
            elif found.tags.get(REINSTATED_BY_TAG) != run_id:
                continue
            reinstated.append(found.version)
        return reinstated

    async def put_into_use(self, version: str) -> None:
        """Enable a new version that was disabled until a backup has it; any other one stays as it is."""
        if is_unused(found := await self.fetch(version)):
            tags = {name: value for name, value in found.tags.items() if name != UNUSED_TAG}
            await self.change(found, enabled=True, tags=tags)

    async def disable_for(self, version: str, run_id: str) -> None:
        """Disable a version again that this rotation has retired."""
        await self._change(await self.fetch(version), enabled=False, tags={RETIRED_BY_TAG: run_id})

    async def tag(self, found: MekVersionProperties, tags: dict[str, str]) -> None:
        """Add or change tags of a version, and leave it enabled or disabled."""
        with vault_failures("update", self.mek.mek_name, found.version):
            await self._keys.update_key_properties(found.mek_name, found.version, tags={**found.tags, **tags})

    async def change(self, found: MekVersionProperties, *, enabled: bool, tags: dict[str, str]) -> None:
        """Enable or disable a version, and replace all its tags."""
        # Bounded, and not repeated by the SDK: what was given up must not take effect when the record says otherwise.
        with vault_failures("update", self.mek.mek_name, found.version):
            async with asyncio.timeout(CHANGE_SECONDS):
                await self._keys.update_key_properties(
                    found.mek_name, found.version, enabled=enabled, tags=tags, retry_total=0
                )

    async def _change(self, found: MekVersionProperties, *, enabled: bool, tags: dict[str, str]) -> None:
        # The vault replaces all tags: those that are not ours are written back.
        kept = {name: value for name, value in found.tags.items() if name not in _STATE_TAGS}
        await self.change(found, enabled=enabled, tags={**kept, **tags})


class TemporaryEnablement:
    """The versions that are enabled for the time of a run; failures are raised as by :class:`MekVersions`."""

    def __init__(self, versions: MekVersions, run_id: str) -> None:
        self._versions = versions
        self._run_id = run_id

    async def enable(self, wanted: Collection[str]) -> list[str]:
        """Enable those of the versions that are disabled, and return what is temporarily enabled, oldest first."""
        for found in (await self._versions.states()).values():
            if found.version in wanted and not found.enabled:
                await self._versions.change(found, enabled=True, tags={**found.tags, TEMPORARY_FOR_TAG: self._run_id})
        return await self.enabled()

    async def enabled(self) -> list[str]:
        """Return what is temporarily enabled, oldest first."""
        return [found.version for found in (await self._versions.states()).values() if is_temporary(found)]

    async def disable_again(self, version: str) -> None:
        """Disable a version again if it is temporarily enabled."""
        found = (await self._versions.states())[version]
        if is_temporary(found):
            tags = {name: value for name, value in found.tags.items() if name != TEMPORARY_FOR_TAG}
            await self._versions.change(found, enabled=False, tags=tags)


def is_unused(found: MekVersionProperties) -> bool:
    """Tell whether this is a rotation's new version that was never in use: disabled until a backup has it."""
    return not found.enabled and UNUSED_TAG in found.tags


def is_temporary(found: MekVersionProperties) -> bool:
    """Tell whether the version is enabled only for the time of a restore."""
    return found.enabled and TEMPORARY_FOR_TAG in found.tags
