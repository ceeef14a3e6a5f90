"""One request on its way through the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from local.cosmos.account import Account
from local.cosmos.catalog import Container
from local.cosmos.errors import bad_request
from local.cosmos.operations import Operation
from local.cosmos.partitions import Partition, key_of_header
from local.cosmos.replica import View, view_for_read
from local.identity.tokens import Principal


@dataclass
class Call:
    """A request that was identified and authorized; ``principal`` is None for the holder of the master key."""

    account: Account
    operation: Operation
    principal: Principal | None
    path: str
    scheme: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def container(self) -> Container:
        """The container that the path names.

        Raises:
            CosmosError: 404, or 400 with substatus 1024 if the client means an earlier container of that name.
        """
        container = self.account.catalog.container(*self.operation.names[:2])
        intended = self.headers.get("x-ms-cosmos-intended-collection-rid")
        if intended and intended != container.rid:
            raise bad_request(f"The container {container.id!r} was created again: its _rid differs", substatus=1024)
        return container

    @cached_property
    def epk(self) -> str:
        """The effective partition key that the request's header gives."""
        return key_of_header(self.container.partition_key, self.headers.get("x-ms-documentdb-partitionkey"))

    @cached_property
    def partition(self) -> Partition:
        """The partition of the item or the batch, which must have throughput left."""
        partition = self.container.partition_of(self.epk)
        self.admit(partition)
        return partition

    @property
    def item_name(self) -> str:
        """The id of the item that the path names."""
        return self.operation.names[2]

    @property
    def minimal(self) -> bool:
        """Tell whether the client wants no body back from a write."""
        return self.headers.get("prefer", "").lower() == "return=minimal"

    def admit(self, partition: Partition) -> None:
        """Refuse with 429 if the partition's throughput is used up."""
        self.account.throughput.admit(partition, len(self.container.live()))

    def page_size(self, default: int) -> int:
        """Return the number of items that the client wants in a page at most, the default if it leaves that open."""
        text = self.headers.get("x-ms-max-item-count", "-1")
        try:
            size = int(text)
        except ValueError:
            raise bad_request(f"x-ms-max-item-count: {text!r} is not a whole number") from None
        return size if size > 0 else default

    def view(self, partition: Partition) -> View:
        """Return what this request sees of a partition.

        Raises:
            CosmosError: 400 if it asks for more consistency than the account has; what the session token may cause.
        """
        level = self.headers.get("x-ms-consistency-level", "Session")
        if level in ("Strong", "BoundedStaleness"):
            raise bad_request(f"The consistency level {level} is stronger than the account's, which is Session")
        session = self.headers.get("x-ms-session-token")
        return view_for_read(self.account.store, partition, self.account.replica_lag_ms, session)
