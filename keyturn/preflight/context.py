"""What a check is given and what it returns."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from azure.core.exceptions import AzureError

from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from field_encrypt.vault_failures import interpret
from keyturn.contracts import CensusResult
from keyturn.cosmos.account import CosmosAccount
from keyturn.cosmos.client import list_feed_ranges
from keyturn.cosmos.state_container import StateContainer
from keyturn.deks.census import take_census
from keyturn.key_vault.errors import keyturn_error
from keyturn.keyring_clients import KeyringClients
from keyturn.runs.records import RotationRecord
from keyturn.settings import Settings

# Tells the on-call channel about the rotation; returns where the message went, raises KeyturnError if it went nowhere.
type OnCall = Callable[[RotationRecord], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw, and what to do where that is not good."""

    ok: bool
    detail: str
    hint: str = ""


def good(detail: str) -> Finding:
    """Return a finding that lets the check pass."""
    return Finding(ok=True, detail=detail)


def bad(detail: str, hint: str) -> Finding:
    """Return a finding that fails the check; the hint says what to do."""
    return Finding(ok=False, detail=detail, hint=hint)


def unused_name() -> str:
    """Return an id that no item has: asking for it shows what is allowed, and nothing else."""
    return f"keyturn-preflight-{uuid4().hex}"


class Facts:
    """What several checks look at, each read once; a reading that fails is tried again by whoever needs it next."""

    def __init__(self, keyring: KeyringClients) -> None:
        self._keyring = keyring
        self._versions: dict[str, MekVersionProperties] | None = None
        self.newest_version: MekVersion | None = None
        self._ranges: list[str] | None = None
        self.census: CensusResult | None = None

    async def versions(self) -> dict[str, MekVersionProperties]:
        """Return the MEK's versions by their ids, oldest first."""
        if self._versions is None:
            self._versions = await self._keyring.versions.states()
        return self._versions

    async def newest(self) -> MekVersion:
        """Return what the vault gives without naming a version, usable or not: what the backend would take.

        Raises:
            ResourceMissingError: the MEK does not exist.
        """
        if self.newest_version is None:
            name = self._keyring.keyring.mek_name
            try:
                self.newest_version = MekVersion.fetched(await self._keyring.keys.get_key(name))
            except AzureError as error:
                raise keyturn_error(interpret(error, name, None, "get"), "get") from error
        return self.newest_version

    async def ranges(self) -> list[str]:
        """Return the store's feed ranges, one per physical partition."""
        if self._ranges is None:
            self._ranges = await list_feed_ranges(self._keyring.dek_container)
        return self._ranges

    async def counted(self) -> CensusResult:
        """Return the census; the version that is to be made exists nowhere yet, so every row of ours is stale."""
        if self.census is None:
            self.census = await take_census(self._keyring.rows, uuid4().hex, {})
        return self.census


@dataclass(frozen=True)
class CheckContext:
    """Everything that the checks of one rotation work with."""

    record: RotationRecord
    keyring: KeyringClients
    settings: Settings
    documents: StateContainer
    account: CosmosAccount | None
    on_call: OnCall | None
    now: datetime
    facts: Facts
