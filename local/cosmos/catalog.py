"""Databases, containers and partitions, held in memory and written through to SQLite."""

import json
import sqlite3
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from local.cosmos.definitions import complete, replaced
from local.cosmos.errors import bad_request, conflict, not_found, range_gone
from local.cosmos.partitions import Partition, boundaries, middle
from local.cosmos.resource_ids import CONTAINER_BYTES, DATABASE_BYTES, decode, encode
from local.cosmos.validation import check_name

_CHILDREN = {name: f"{name[1:]}/" for name in ("_docs", "_sprocs", "_triggers", "_udfs", "_conflicts")}


@dataclass(slots=True)
class Container:
    """A container, its properties as the client reads them, and its partitions, split ones included."""

    number: int
    database: str
    id: str
    rid: str
    properties: dict[str, Any]
    partitions: list[Partition] = field(default_factory=list)

    @property
    def link(self) -> str:
        """The path by names, which the SDK keeps session tokens by."""
        return f"dbs/{self.database}/colls/{self.id}"

    @property
    def self_link(self) -> str:
        """The path by resource ids."""
        return str(self.properties["_self"])

    @property
    def partition_key(self) -> dict[str, Any]:
        """The partition key definition."""
        definition: dict[str, Any] = self.properties["partitionKey"]
        return definition

    def live(self) -> list[Partition]:
        """Return the partitions that serve, in the order of their ranges."""
        return sorted((one for one in self.partitions if not one.gone), key=lambda one: one.low)

    def partition_of(self, epk: str) -> Partition:
        """Return the partition that serves the effective partition key."""
        return next(one for one in self.partitions if not one.gone and one.holds(epk))

    def partition(self, range_id: str) -> Partition:
        """Return the partition by the id of its range.

        Raises:
            CosmosError: 410 with substatus 1002 if it was split or never was.
        """
        found = next((one for one in self.partitions if one.id == range_id), None)
        if found is None or found.gone:
            raise range_gone(range_id)
        return found


class Catalog:
    """All databases and containers of the account."""

    def __init__(self, connection: sqlite3.Connection, partitions_per_container: int) -> None:
        self._connection = connection
        self._partitions_per_container = partitions_per_container
        self.databases: dict[str, dict[str, Any]] = {}
        self.containers: dict[tuple[str, str], Container] = {}
        self._load()

    def _load(self) -> None:
        for name, properties in self._connection.execute("SELECT id, properties FROM databases"):
            self.databases[name] = json.loads(properties)
        by_number: dict[int, Container] = {}
        rows = self._connection.execute("SELECT number, database, id, rid, properties FROM containers")
        for number, database, name, rid, properties in rows:
            container = Container(number, database, name, rid, json.loads(properties))
            by_number[number] = self.containers[database, name] = container
        rows = self._connection.execute(
            "SELECT number, container, id, low, high, parents, generation, gone, lsn FROM partitions ORDER BY number"
        )
        for number, container, name, low, high, parents, generation, gone, lsn in rows:
            by_number[container].partitions.append(
                Partition(number, container, name, low, high, tuple(json.loads(parents)), generation, bool(gone), lsn)
            )

    def database(self, name: str) -> dict[str, Any]:
        """Return the properties of a database, or raise 404."""
        if name not in self.databases:
            raise not_found(f"The database {name!r} does not exist", substatus=1003)
        return self.databases[name]

    def container(self, database: str, name: str) -> Container:
        """Return a container, or raise 404."""
        self.database(database)
        if (database, name) not in self.containers:
            raise not_found(f"The container {name!r} does not exist in {database!r}", substatus=1003)
        return self.containers[database, name]

    def create_database(self, body: Any) -> dict[str, Any]:
        """Create a database from the request's body and return its properties."""
        name = check_name(body)
        if name in self.databases:
            raise conflict(f"A database with the id {name!r} exists already")
        rid = encode(uuid.uuid4().bytes[:DATABASE_BYTES])
        properties = {"id": name, **_system_properties(rid, f"dbs/{rid}/"), "_colls": "colls/", "_users": "users/"}
        self._connection.execute("INSERT INTO databases VALUES (?, ?, ?)", (name, rid, json.dumps(properties)))
        self.databases[name] = properties
        return properties

    def create_container(self, database: str, body: Any, partitions: int = 1) -> Container:
        """Create a container with so many physical partitions, or more if the account begins with more."""
        owner = self.database(database)
        name, definition = check_name(body), complete(body)
        if (database, name) in self.containers:
            raise conflict(f"A container with the id {name!r} exists already")
        rid = encode(decode(owner["_rid"]) + uuid.uuid4().bytes[: CONTAINER_BYTES - DATABASE_BYTES])
        system = _system_properties(rid, f"{owner['_self']}colls/{rid}/")
        properties = {**definition, **system, **_CHILDREN}
        ranges = boundaries(max(partitions, self._partitions_per_container), properties["partitionKey"]["version"])
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            number = self._connection.execute(
                "INSERT INTO containers (database, id, rid, properties) VALUES (?, ?, ?, ?)",
                (database, name, rid, json.dumps(properties)),
            ).lastrowid
            container = Container(number or 0, database, name, rid, properties)
            for index, (low, high) in enumerate(ranges):
                container.partitions.append(self._insert_partition(container, str(index), low, high, (), 1, 0))
        self.containers[database, name] = container
        return container

    def replace_container(self, container: Container, body: Any) -> None:
        """Replace what may change of a container's own properties: its policies and its time to live."""
        if check_name(body) != container.id:
            raise bad_request("id: a container keeps what it was made with")
        rid, self_link = container.rid, container.self_link
        properties = {**replaced(container.properties, body), **_system_properties(rid, self_link), **_CHILDREN}
        text = json.dumps(properties)
        self._connection.execute("UPDATE containers SET properties = ? WHERE number = ?", (text, container.number))
        container.properties = properties

    def delete_database(self, name: str) -> None:
        """Delete a database with every container in it."""
        self.database(name)
        for owner, container in list(self.containers):
            if owner == name:
                self.delete_container(name, container)
        self._connection.execute("DELETE FROM databases WHERE id = ?", (name,))
        del self.databases[name]

    def delete_container(self, database: str, name: str) -> None:
        """Delete a container with everything in it."""
        container = self.container(database, name)
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for one in container.partitions:
                self._connection.execute("DELETE FROM commits WHERE partition = ?", (one.number,))
            for table in ("items", "history", "partitions"):
                self._connection.execute(f"DELETE FROM {table} WHERE container = ?", (container.number,))  # noqa: S608 - constants
            self._connection.execute("DELETE FROM containers WHERE number = ?", (container.number,))
        del self.containers[database, name]

    def split(self, container: Container, range_id: str) -> tuple[Partition, Partition]:
        """Split a partition in two, which take over its items, its history and its place in the change feed."""
        parent = container.partition(range_id)
        cut = middle(parent)
        if not parent.low < cut < parent.high:
            raise bad_request(f"Partition key range {range_id} is too narrow to be split")
        next_id = len(container.partitions)
        generation = 1 + max(one.generation for one in container.partitions)
        parents = (*parent.parents, parent.id)
        children = []
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for index, (low, high) in enumerate(((parent.low, cut), (cut, parent.high))):
                child = self._insert_partition(
                    container, str(next_id + index), low, high, parents, generation, parent.lsn
                )
                children.append(child)
                self._hand_over(parent, child)
            self._connection.execute("DELETE FROM commits WHERE partition = ?", (parent.number,))
            self._connection.execute("UPDATE partitions SET gone = 1 WHERE number = ?", (parent.number,))
        parent.gone = True
        container.partitions.extend(children)
        return children[0], children[1]

    def _hand_over(self, parent: Partition, child: Partition) -> None:
        for table in ("items", "history"):
            self._connection.execute(
                f"UPDATE {table} SET partition = ? WHERE partition = ? AND epk >= ? AND epk < ?",  # noqa: S608 - constants
                (child.number, parent.number, child.low, child.high),
            )
        self._connection.execute(
            "INSERT INTO commits SELECT ?, lsn, at_ms FROM commits WHERE partition = ?", (child.number, parent.number)
        )

    def _insert_partition(
        self, container: Container, name: str, low: str, high: str, parents: tuple[str, ...], generation: int, lsn: int
    ) -> Partition:
        number = self._connection.execute(
            "INSERT INTO partitions (container, id, low, high, parents, generation, gone, lsn)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (container.number, name, low, high, json.dumps(parents), generation, lsn),
        ).lastrowid
        return Partition(number or 0, container.number, name, low, high, parents, generation, gone=False, lsn=lsn)


def _system_properties(rid: str, self_link: str) -> dict[str, Any]:
    return {"_rid": rid, "_self": self_link, "_etag": f'"{uuid.uuid4()}"', "_ts": int(time.time())}
