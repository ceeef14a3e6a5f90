"""The account: its data, its settings, its faults."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.common.faults import Faults
from local.cosmos.auth import Authenticator, master_key
from local.cosmos.catalog import Catalog
from local.cosmos.errors import bad_request
from local.cosmos.offers import Offers
from local.cosmos.replica import MAX_LAG_MS
from local.cosmos.sql.values import MixedTypes
from local.cosmos.storage import open_reader, open_writer
from local.cosmos.store import ItemStore
from local.cosmos.throughput import Throughput


class Account:
    """Everything that requests work on. Scans run in one thread beside the event loop, all else in the loop."""

    def __init__(
        self,
        state: Path,
        identity_key: bytes,
        *,
        partitions: int,
        throughput: float | None,
        replica_lag_ms: float,
        mixed_types: MixedTypes = "undefined",
        short_pages: int = 0,
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        database = state / "cosmos.sqlite3"
        writer = open_writer(database)
        self.catalog = Catalog(writer, partitions)
        self.offers = Offers(writer, self.catalog)
        self.store = ItemStore(writer, open_reader(database))
        self.authenticator = Authenticator(master_key(state), identity_key)
        self.throughput = Throughput(throughput)
        self.replica_lag_ms = 0.0
        self.set_replica_lag(replica_lag_ms)
        self.mixed_types = mixed_types
        self.short_pages = short_pages  # items that the first page of a query looks at; 0: all
        self.faults = Faults()
        self._scans = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scan")

    def set_replica_lag(self, milliseconds: float) -> None:
        """Let reads without a session token lag behind from now on.

        Raises:
            CosmosError: 400 if that is longer than history is kept.
        """
        if not 0 <= milliseconds <= MAX_LAG_MS:
            raise bad_request(f"replicaLagMs: 0 to {MAX_LAG_MS} is allowed")
        self.replica_lag_ms = milliseconds

    async def scan[Result](self, work: Callable[[], Result]) -> Result:
        """Run work that walks over many items in the scan thread."""
        return await asyncio.get_running_loop().run_in_executor(self._scans, work)
