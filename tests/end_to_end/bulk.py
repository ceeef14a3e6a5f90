"""Fills the dek store of a local Azure with very many rows, in seconds: behind the service's back, while it is down."""

import base64
import uuid
from collections.abc import Iterator
from typing import Any

from field_encrypt.dek import Dek, key_check
from field_encrypt.key_vault import MekClient
from field_encrypt.mek_versions import MekVersion
from local.cosmos.catalog import Catalog
from local.cosmos.partitions import key_of_item
from local.cosmos.storage import open_reader, open_writer
from local.cosmos.store import ItemStore
from local.supervisor import LocalAzure
from local.supervisor.environment import COSMOS_DATABASE, DEK_CONTAINER


def fill(azure: LocalAzure, mek: MekClient, version: MekVersion, count: int) -> None:
    """Store so many rows of new DEKs under the version, each in a commit of its own, as a writer would."""
    azure.processes["cosmos"].terminate()
    path = azure.layout.folder("cosmos") / "cosmos.sqlite3"
    writer, reader = open_writer(path), open_reader(path)
    container = Catalog(writer, azure.options.partitions).container(COSMOS_DATABASE, DEK_CONTAINER)
    store = ItemStore(writer, reader)
    for row in _rows(mek, version, count):
        epk = key_of_item(container.partition_key, row)
        with store.commit(container, container.partition_of(epk)) as commit:
            commit.put(epk, row, None)
    writer.close()
    reader.close()
    azure.start("cosmos")


def _rows(mek: MekClient, version: MekVersion, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        dek = Dek.generate()
        yield {
            "id": str(uuid.uuid4()),
            "wrappedDek": base64.b64encode(mek.wrap(dek.reveal(), version, "RSA-OAEP-256")).decode(),
            "mekName": version.mek_name,
            "mekVersion": version.version,
            "algorithm": "RSA-OAEP-256",
            "createdAt": "2026-01-01T00:00:00.000+00:00",
            "keyCheck": base64.b64encode(key_check(dek)).decode(),
        }
