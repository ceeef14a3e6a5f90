"""The SQLite file underneath: its schema and its connections.

Write-ahead logging with ``synchronous=NORMAL``: every commit has reached the operating system before it is
acknowledged, so it survives SIGKILL of this process. Only a crash of the machine itself could lose the last commits.
"""

import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (id TEXT PRIMARY KEY, rid TEXT NOT NULL, properties TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS offers (resource TEXT PRIMARY KEY, properties TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS containers (
    number INTEGER PRIMARY KEY, database TEXT NOT NULL, id TEXT NOT NULL, rid TEXT NOT NULL, properties TEXT NOT NULL,
    UNIQUE (database, id));
CREATE TABLE IF NOT EXISTS partitions (
    number INTEGER PRIMARY KEY, container INTEGER NOT NULL, id TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    parents TEXT NOT NULL, generation INTEGER NOT NULL, gone INTEGER NOT NULL, lsn INTEGER NOT NULL);
-- The newest version of every item. number is the item's place in the order of creation, and makes its _rid.
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL, container INTEGER NOT NULL, epk TEXT NOT NULL,
    id TEXT NOT NULL, lsn INTEGER NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (container, epk, id));
CREATE INDEX IF NOT EXISTS items_by_lsn ON items (partition, lsn);
CREATE INDEX IF NOT EXISTS items_by_number ON items (partition, number);
-- Versions that were replaced or deleted by the commit ended_lsn: what a replica that lags behind still shows.
CREATE TABLE IF NOT EXISTS history (
    number INTEGER NOT NULL, partition INTEGER NOT NULL, container INTEGER NOT NULL, epk TEXT NOT NULL,
    id TEXT NOT NULL, lsn INTEGER NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    ended_lsn INTEGER NOT NULL, ended_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS history_by_lsn ON history (partition, ended_lsn);
CREATE INDEX IF NOT EXISTS history_by_item ON history (container, epk, id, ended_lsn);
CREATE INDEX IF NOT EXISTS history_by_time ON history (ended_ms);
-- When each recent commit was made: where a replica stood at a given time.
CREATE TABLE IF NOT EXISTS commits (
    partition INTEGER NOT NULL, lsn INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (partition, lsn)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commits_by_time ON commits (at_ms);
"""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the only connection that writes, and make the schema if it is missing."""
    connection = _connect(path)
    connection.executescript(_SCHEMA)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection for scans, which run in a thread of their own beside the writer."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=5000")
    return connection
