"""How much of a partition a read sees: all of it, or what a replica that lags behind has received.

A read sees the partition as of the replica's lag or as of its session token, whichever is newer; writes and their
conditions always meet the newest state.
"""

from dataclasses import dataclass

from local.cosmos.partitions import Partition
from local.cosmos.sessions import required_lsn, token_of
from local.cosmos.store import ItemStore

MAX_LAG_MS = 60_000


@dataclass(frozen=True, slots=True)
class View:
    """A partition as one read sees it: up to the commit ``horizon``, or everything if None."""

    partition: Partition
    horizon: int | None
    lsn: int

    @property
    def token(self) -> str:
        """The session token of a client that has read this view."""
        return token_of(self.partition, self.lsn)


def view_for_read(store: ItemStore, partition: Partition, lag_ms: float, session: str | None) -> View:
    """Return what a read with this session token sees of the partition.

    Raises:
        CosmosError: the token is malformed or ahead of the partition.
    """
    required = required_lsn(session, partition)
    if not lag_ms:
        return View(partition, None, partition.lsn)
    horizon = max(required, store.replica_lsn(partition, lag_ms))
    return View(partition, horizon, horizon)
