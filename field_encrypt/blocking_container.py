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


# What azure.cosmos.ContainerProxy 4.17 takes by position, in its order. It ignores the first where it is no query.
_METRICS = ("populate_query_metrics",)
_WRITE = (*_METRICS, "pre_trigger_include", "post_trigger_include", "indexing_directive")  # the last one of a create
_READ = (*_METRICS, "post_trigger_include")
_READ_ALL = ("max_item_count", *_METRICS)
_QUERY = ("partition_key", "enable_cross_partition_query", "max_item_count", "enable_scan_in_query", *_METRICS)


class BlockingEncryptedContainer:
    """The documents of one container; every method does what :class:`EncryptedContainer`'s of the same name does.

    Options may be given as the blocking SDK takes them, by position too.
    """

    def __init__(self, container: EncryptedContainer, wait: Wait) -> None:
        self._container = container
        self._wait = wait

    def create_item(self, body: Document, *given: object, **options: object) -> Item:
        """Store a new document."""
        return self._wait(self._container.create_item(body, **_named(_WRITE, given, options)))

    def read_item(
        self, item: str | Document, partition_key: PartitionKeyValue, *given: object, **options: object
    ) -> Item:
        """Read a document and decrypt it."""
        return self._wait(self._container.read_item(item, partition_key, **_named(_READ, given, options)))

    def replace_item(self, item: str | Document, body: Document, *given: object, **options: object) -> Item:
        """Replace a document."""
        return self._wait(self._container.replace_item(item, body, **_named(_WRITE[:3], given, options)))

    def upsert_item(self, body: Document, *given: object, **options: object) -> Item:
        """Replace a document, or store a new one."""
        return self._wait(self._container.upsert_item(body, **_named(_WRITE[:3], given, options)))

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
        self, query: str, parameters: Sequence[Mapping[str, object]] | None = None, *given: object, **options: object
    ) -> list[Item]:
        """Return all results of a query."""
        named = _named(_QUERY, given, options, but=())
        return self._wait(_listed(self._container.query_items(query, parameters=parameters, **named)))

    def equals(self, field_path: str, value: object, *, alias: str = "c", number: int = 0) -> Condition:
        """Return the condition that a deterministic field has this value."""
        return self._wait(self._container.equals(field_path, value, alias=alias, number=number))

    def read_all_items(self, *given: object, **options: object) -> list[Item]:
        """Return every document."""
        return self._wait(_listed(self._container.read_all_items(**_named(_READ_ALL, given, options))))

    def execute_item_batch(
        self, batch_operations: Sequence[BatchOperation], partition_key: PartitionKeyValue, **options: object
    ) -> list[Item]:
        """Do the operations of one partition together or not at all."""
        return self._wait(self._container.execute_item_batch(batch_operations, partition_key, **options))


def _named(
    names: Sequence[str], given: Sequence[object], options: Mapping[str, object], *, but: Sequence[str] = _METRICS
) -> dict[str, object]:
    """Return options by their names, which the asynchronous client wants, but for those that it does not take.

    Raises:
        TypeError: there are more of them than the SDK takes by position, or one is given twice.
    """
    if len(given) > len(names) or options.keys() & set(names[: len(given)]):
        raise TypeError(f"expected at most {', '.join(names)} by position, and none of them twice")
    named = {**dict(zip(names, given, strict=False)), **options}
    return {name: value for name, value in named.items() if name not in but}


async def _listed(items: AsyncIterator[Item]) -> list[Item]:
    return [item async for item in items]
