"""Fills a container of a local Azure with very many items: behind the back of its Cosmos DB, while that is down."""

from collections.abc import Iterable
from typing import Any

from local.cosmos.catalog import Catalog
from local.cosmos.partitions import key_of_item
from local.cosmos.storage import open_reader, open_writer
from local.cosmos.store import ItemStore
from local.supervisor.azure import LocalAzure
from local.supervisor.environment import COSMOS_DATABASE


def put_items(azure: LocalAzure, name: str, items: Iterable[dict[str, Any]]) -> None:
    """Store the items in the container, each in a commit of its own, as a writer would."""
    azure.processes["cosmos"].terminate()
    path = azure.layout.folder("cosmos") / "cosmos.sqlite3"
    writer, reader = open_writer(path), open_reader(path)
    container = Catalog(writer, azure.options.partitions).container(COSMOS_DATABASE, name)
    store = ItemStore(writer, reader)
    for item in items:
        epk = key_of_item(container.partition_key, item)
        with store.commit(container, container.partition_of(epk)) as commit:
            commit.put(epk, item, None)
    writer.close()
    reader.close()
    azure.start("cosmos")
