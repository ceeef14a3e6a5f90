"""An :class:`EncryptedContainer` for code that is not asynchronous."""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Protocol

from field_encrypt.conditions import Condition
from field_encrypt.documents import Document, Item
from field_encrypt.encrypted_container import EncryptedContainer
from field_encrypt.patches import BatchOperation, Operation
from field_encrypt.places import PartitionKeyValue


class Wait(Protocol):
    """Runs a call in the event loop of the library, and waits for it."""

    def __call__[Result](self, call: Coroutine[object, object, Result]) -> Result:
        """Return what the call returns; raises what it raises."""
        ...


class BlockingEncryptedContainer:
    """The documents of one container; every method does what :class:`EncryptedContainer`'s of the same name does."""

    def __init__(self, container: EncryptedContainer, wait: Wait) -> None:
        self._container = container
        self._wait = wait

    def create_item(self, body: Document, **options: object) -> Item:
        """Store a new document."""
        return self._wait(self._container.create_item(body, **options))

    def read_item(self, item: str | Document, partition_key: PartitionKeyValue, **options: object) -> Item:
        """Read a document and decrypt it."""
        return self._wait(self._container.read_item(item, partition_key, **options))

    def replace_item(self, item: str | Document, body: Document, **options: object) -> Item:
        """Replace a document."""
        return self._wait(self._container.replace_item(item, body, **options))

    def upsert_item(self, body: Document, **options: object) -> Item:
        """Replace a document, or store a new one."""
        return self._wait(self._container.upsert_item(body, **options))

    def patch_item(
        self,
        item: str | Document,
        partition_key: PartitionKeyValue,
        patch_operations: Sequence[Operation],
        **options: object,
    ) -> Item:
        """Patch a document."""
        return self._wait(self._container.patch_item(item, partition_key, patch_operations, **options))

    def query_items(
        self, query: str, parameters: Sequence[Mapping[str, object]] | None = None, **options: object
    ) -> list[Item]:
        """Return all results of a query."""
        return self._wait(_listed(self._container.query_items(query, parameters=parameters, **options)))

    def equals(self, field_path: str, value: object, *, alias: str = "c", number: int = 0) -> Condition:
        """Return the condition that a deterministic field has this value."""
        return self._wait(self._container.equals(field_path, value, alias=alias, number=number))

    def read_all_items(self, **options: object) -> list[Item]:
        """Return every document."""
        return self._wait(_listed(self._container.read_all_items(**options)))

    def execute_item_batch(
        self, batch_operations: Sequence[BatchOperation], partition_key: PartitionKeyValue, **options: object
    ) -> list[Item]:
        """Do the operations of one partition together or not at all."""
        return self._wait(self._container.execute_item_batch(batch_operations, partition_key, **options))


async def _listed(items: AsyncIterator[Item]) -> list[Item]:
    return [item async for item in items]
