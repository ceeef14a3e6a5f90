"""Items in SQLite: the newest versions, recent history, and commits that number every change of a partition.

A commit is one transaction of one partition; it takes the partition's next log sequence number (lsn), which orders the
change feed, fills session tokens and makes ETags. All operations of a batch share it.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

from local.cosmos.catalog import Container
from local.cosmos.partitions import Partition
from local.cosmos.resource_ids import item_rid

HISTORY_MS = 65_000  # a little more than the longest replica lag that may be set
_PRUNE_EVERY_MS = 5_000
_SYSTEM_PROPERTIES = ("_rid", "_self", "_etag", "_attachments", "_ts", "_lsn")


class Row(NamedTuple):
    """One version of an item; ``body`` is the JSON that clients get."""

    number: int
    epk: str
    id: str
    lsn: int
    etag: str
    body: str

    def item(self) -> dict[str, Any]:
        """Return the item without the properties that the service adds."""
        return {name: value for name, value in json.loads(self.body).items() if name not in _SYSTEM_PROPERTIES}


def writes_of(etag: str) -> int:
    """Return how often an item was written after it was made, modulo 65,536: for tests, its ETag counts."""
    return int(etag.strip('"').split("-")[1], 16)


class Scope(NamedTuple):
    """What a scan covers: a partition, or the part of it between two effective partition keys, or one such key."""

    partition: Partition
    low: str | None = None
    high: str | None = None
    epk: str | None = None


class Usage(NamedTuple):
    """How many items a container holds, and how large their JSON is."""

    items: int
    kilobytes: int


class ItemStore:
    """Reads and writes items; scans run on a connection of their own."""

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._pruned_ms = 0
        self._last_ms = 0

    def newest(self, container: Container, epk: str, name: str) -> Row | None:
        """Return the newest version of an item."""
        found = self._writer.execute(
            "SELECT number, epk, id, lsn, etag, body FROM items WHERE container = ? AND epk = ? AND id = ?",
            (container.number, epk, name),
        ).fetchone()
        return Row(*found) if found else None

    def name_of(self, container: Container, number: int) -> str | None:
        """Return the id of the item with this number in the order of creation, None if it is not there."""
        found = self._writer.execute(
            "SELECT id FROM items WHERE container = ? AND number = ?", (container.number, number)
        ).fetchone()
        return str(found[0]) if found else None

    def of_key(self, container: Container, epk: str) -> Iterator[Row]:
        """Yield the newest versions of all items of one partition key value."""
        for found in self._writer.execute(
            "SELECT number, epk, id, lsn, etag, body FROM items WHERE container = ? AND epk = ?",
            (container.number, epk),
        ):
            yield Row(*found)

    def usage(self, container: Container) -> Usage:
        """Count a container's items; to be used in the scan thread only."""
        items, size = self._reader.execute(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM items WHERE container = ?", (container.number,)
        ).fetchone()
        return Usage(items, -(-size // 1024))

    def as_of(self, container: Container, epk: str, name: str, horizon: int | None) -> Row | None:
        """Return the version that was the newest when the partition stood at the commit ``horizon``."""
        row = self.newest(container, epk, name)
        if horizon is None or (row is not None and row.lsn <= horizon):
            return row
        found = self._writer.execute(
            "SELECT number, epk, id, lsn, etag, body FROM history"
            " WHERE container = ? AND epk = ? AND id = ? AND lsn <= ? AND ended_lsn > ?",
            (container.number, epk, name, horizon, horizon),
        ).fetchone()
        return Row(*found) if found else None

    def scan(self, scope: Scope, horizon: int | None, *, after: int = 0, by_lsn: bool = False) -> Iterator[Row]:
        """Yield the versions that are visible at the horizon, in order of creation or of change.

        ``after`` is the number or the lsn of the last row that was seen. To be used in the scan thread only.
        """
        order = "lsn" if by_lsn else "number"
        columns = "SELECT number, epk, id, lsn, etag, body FROM"
        where = f"partition = :partition AND {order} > :after"
        if scope.epk is not None:
            # The unary plus keeps SQLite from walking the whole partition where the key's own index is shorter.
            where = f"container = :container AND epk = :epk AND +partition = :partition AND +{order} > :after"
        elif scope.low is not None:
            where += " AND epk >= :low AND epk < :high"
        sql = f"{columns} items WHERE {where}"
        if horizon is not None:
            sql += (
                f" AND +lsn <= :horizon UNION ALL {columns} history"
                f" WHERE {where} AND +lsn <= :horizon AND ended_lsn > :horizon"
            )
        values = {
            "container": scope.partition.container,
            "partition": scope.partition.number,
            "after": after,
            "epk": scope.epk,
            "low": scope.low,
            "high": scope.high,
            "horizon": horizon,
        }
        for found in self._reader.execute(f"{sql} ORDER BY {order}, number", values):
            yield Row(*found)

    def replica_lsn(self, partition: Partition, lag_ms: float) -> int:
        """Return the commit at which a replica stands that is ``lag_ms`` behind."""
        cutoff = int(time.time() * 1000 - lag_ms)
        reached = self._writer.execute(
            "SELECT lsn FROM commits WHERE partition = ? AND at_ms <= ? ORDER BY lsn DESC LIMIT 1",
            (partition.number, cutoff),
        ).fetchone()
        if reached:
            return int(reached[0])
        (oldest,) = self._writer.execute(
            "SELECT MIN(lsn) FROM commits WHERE partition = ?", (partition.number,)
        ).fetchone()
        return partition.lsn if oldest is None else int(oldest) - 1

    def commit(self, container: Container, partition: Partition) -> "Commit":
        """Return a commit to write with; leaving its context makes it durable, an exception undoes it."""
        now = max(self._last_ms, int(time.time() * 1000))
        self._last_ms = now
        if now - self._pruned_ms > _PRUNE_EVERY_MS:
            self._pruned_ms = now
            self._writer.execute("DELETE FROM history WHERE ended_ms < ?", (now - HISTORY_MS,))
            self._writer.execute("DELETE FROM commits WHERE at_ms < ?", (now - HISTORY_MS,))
        return Commit(self._writer, container, partition, now)


class Commit:
    """One transaction of one partition."""

    def __init__(self, connection: sqlite3.Connection, container: Container, partition: Partition, now: int) -> None:
        self._connection = connection
        self._container = container
        self._partition = partition
        self._now = now
        self._changes = 0
        self.lsn = partition.lsn + 1

    def __enter__(self) -> Self:
        self._connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or not self._changes:
            self._connection.execute("ROLLBACK")
            return
        self._connection.execute("INSERT INTO commits VALUES (?, ?, ?)", (self._partition.number, self.lsn, self._now))
        self._connection.execute("UPDATE partitions SET lsn = ? WHERE number = ?", (self.lsn, self._partition.number))
        self._connection.execute("COMMIT")
        self._partition.lsn = self.lsn

    def put(self, epk: str, item: dict[str, Any], previous: Row | None) -> Row:
        """Write a new version of an item, under another id if the item has one, or the first one."""
        number = previous.number if previous else self._reserve(epk, item["id"])
        written = (writes_of(previous.etag) + 1) % 0x10000 if previous else 0
        etag = f'"{number:08x}-{written:04x}-{self._changes:04x}-0000-{self.lsn:012x}"'
        body = self._body(number, etag, item)
        if previous:
            self._keep(previous)
        self._connection.execute(
            "UPDATE items SET id = ?, lsn = ?, etag = ?, body = ? WHERE number = ?",
            (item["id"], self.lsn, etag, body, number),
        )
        self._changes += 1
        return Row(number, epk, item["id"], self.lsn, etag, body)

    def delete(self, row: Row) -> None:
        """Delete an item."""
        self._keep(row)
        self._connection.execute("DELETE FROM items WHERE number = ?", (row.number,))
        self._changes += 1

    def _reserve(self, epk: str, name: str) -> int:
        inserted = self._connection.execute(
            "INSERT INTO items (partition, container, epk, id, lsn, etag, body) VALUES (?, ?, ?, ?, ?, '', '')",
            (self._partition.number, self._container.number, epk, name, self.lsn),
        )
        return inserted.lastrowid or 0

    def _keep(self, row: Row) -> None:
        # A version that this same commit wrote was never visible to a reader.
        if row.lsn < self.lsn:
            self._connection.execute(
                "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.number, self._partition.number, self._container.number, row.epk, row.id, row.lsn, row.etag,
                    row.body, self.lsn, self._now,
                ),
            )  # fmt: skip

    def _body(self, number: int, etag: str, item: dict[str, Any]) -> str:
        rid = item_rid(self._container.rid, number)
        content = {name: value for name, value in item.items() if name not in _SYSTEM_PROPERTIES}
        content |= {
            "_rid": rid,
            "_self": f"{self._container.self_link}docs/{rid}/",
            "_etag": etag,
            "_attachments": "attachments/",
            "_ts": self._now // 1000,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
