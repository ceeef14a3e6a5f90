"""Resource ids (``_rid``): how they nest, and requests that address a resource by them in place of names.

A database's has 4 bytes, a container's 8, of which the first 4 are its database's, an item's 16, of which the first 8
are its container's; in base64 with ``-`` for ``/``.
"""

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING

from local.cosmos.operations import Operation

if TYPE_CHECKING:
    from local.cosmos.catalog import Catalog
    from local.cosmos.store import ItemStore

DATABASE_BYTES = 4
CONTAINER_BYTES = 8
_ITEM_BYTES = 16


def encode(raw: bytes) -> str:
    """Return the text of a resource id."""
    return base64.b64encode(raw).decode().replace("/", "-")


def decode(rid: str) -> bytes:
    """Return the bytes of a resource id, none if the text is not one."""
    try:
        return base64.b64decode(rid.replace("-", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def item_rid(container_rid: str, number: int) -> str:
    """Return the resource id of the item with this number in the order of creation."""
    return encode(decode(container_rid) + number.to_bytes(_ITEM_BYTES - CONTAINER_BYTES))


def resolve(operation: Operation, catalog: "Catalog", store: "ItemStore") -> Operation:
    """Return the operation with names, if its path addresses the resource by ids, which begins with the database's.

    As in the SDK (``IsNameBased``), but a database whose name looks like an id is found by its name. What does not
    exist keeps its id for a name, which is then not found.
    """
    if not operation.names or not operation.link.startswith("dbs/"):
        return operation
    first = operation.names[0]
    if first in catalog.databases or len(decode(first)) != DATABASE_BYTES:
        return operation
    database = next((name for name, one in catalog.databases.items() if one["_rid"] == first), first)
    names = [database, *operation.names[1:]]
    container = next(
        (one for one in catalog.containers.values() if len(names) > 1 and one.rid == names[1]),
        None,
    )
    if container is not None and container.database == database:
        names[1] = container.id
        if operation.resource_type == "docs" and len(names) > 2:  # noqa: PLR2004 - database, container, item
            raw = decode(names[2])
            number = int.from_bytes(raw[CONTAINER_BYTES:]) if len(raw) == _ITEM_BYTES else 0
            names[2] = store.name_of(container, number) or names[2]
    link = "/".join(
        part for pair in zip(("dbs", "colls", operation.resource_type), names, strict=False) for part in pair
    )
    return replace(operation, names=tuple(names), link=link, signed=operation.names[-1].lower())
