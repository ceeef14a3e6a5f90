"""What the checks of one rotation are given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from keyturn.contracts.passes import CensusResult
from keyturn.cosmos.account import CosmosAccount
from keyturn.cosmos.client import list_feed_ranges
from keyturn.cosmos.state_container import StateContainer
from keyturn.deks.census import take_census
from keyturn.key_vault.errors import vault_failures
from keyturn.keyring_clients import KeyringClients
from keyturn.runs.records import RotationRecord
from keyturn.settings import Settings

# Tells the on-call channel about the rotation; returns where the message went, raises KeyturnError if it was not sent.
type OnCall = Callable[[RotationRecord], Awaitable[str]]


def unused_name(asker: str = "preflight") -> str:
    """Return a name that nothing has: asking for it shows what is allowed, and nothing else."""
    return f"keyturn-{asker}-{uuid4().hex}"


class Facts:
    """What several checks look at, each read once; after a failure, the next check that needs it reads again."""

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
        """Return what the vault gives where none is named, as the backend takes it; raises ResourceMissingError."""
        if self.newest_version is None:
            name = self._keyring.keyring.mek_name
            with vault_failures("get", name):
                self.newest_version = MekVersion.fetched(await self._keyring.keys.get_key(name))
        return self.newest_version

    async def ranges(self) -> list[str]:
        """Return the store's feed ranges, one per physical partition."""
        if self._ranges is None:
            self._ranges = await list_feed_ranges(self._keyring.dek_container)
        return self._ranges

    async def counted(self) -> CensusResult:
        """Return the census; no row names the version that is yet to be created, so every row of ours is stale."""
        if self.census is None:
            self.census = await take_census(self._keyring.rows, uuid4().hex, {})
        return self.census


@dataclass(frozen=True)
class CheckContext:
    """Everything that the checks of one rotation work with."""

    record: RotationRecord
    keyring: KeyringClients
    settings: Settings
    documents: StateContainer  # the container ``keyturn``
    account: CosmosAccount | None  # where it is configured
    on_call: OnCall | None
    now: datetime
    facts: Facts
