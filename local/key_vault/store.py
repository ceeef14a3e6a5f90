"""The vault's keys: in memory for reading, in SQLite for good. A version that a caller was told of survives SIGKILL.

A version, once made, can only be changed; a key is deleted as a whole, in a vault that is to be thrown away.
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from local.common.files import PRIVATE_FILE
from local.key_vault.errors import key_not_found
from local.key_vault.model import KeyVersion

SCHEMA = """
CREATE TABLE IF NOT EXISTS key_version (
    sequence INTEGER PRIMARY KEY,  -- order of creation, which decides what the newest version is
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    private_key TEXT NOT NULL,     -- PKCS8 PEM
    properties TEXT NOT NULL,      -- JSON of everything else
    UNIQUE (name, version)
) STRICT
"""
DELETED = """
CREATE TABLE IF NOT EXISTS deleted_key (
    name TEXT PRIMARY KEY,         -- in lower case
    bundle TEXT NOT NULL           -- JSON of what the service answers
) STRICT
"""


def record_of(key: KeyVersion) -> dict[str, Any]:
    """Return the version as plain JSON values, its private key as PEM text: for the database and for backups."""
    pem = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"name": key.name, "version": key.version, "private_key": pem.decode(), **properties_of(key)}


def properties_of(key: KeyVersion) -> dict[str, Any]:
    """Return what may change in a version's life, as plain JSON values."""
    return {
        "key_ops": list(key.key_ops),
        "enabled": key.enabled,
        "nbf": key.nbf,
        "exp": key.exp,
        "created": key.created,
        "updated": key.updated,
        "tags": key.tags,
    }


def version_of(record: dict[str, Any]) -> KeyVersion:
    """Return the version that a record describes; its key is one that this program made, so it is not validated."""
    key = load_pem_private_key(record["private_key"].encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError(f"key {record['name']!r} must be an RSA key, not {type(key).__name__}")
    return KeyVersion(**{**record, "private_key": key, "key_ops": tuple(record["key_ops"])})


class KeyStore:
    """All versions of all keys of one vault."""

    def __init__(self, path: Path) -> None:
        """Open the database, made at the first call, and read every key."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE))  # SQLite's own files take this file's mode
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(SCHEMA)
        self._database.execute(DELETED)
        self._keys: dict[str, dict[str, KeyVersion]] = {}  # by the name in lower case
        deleted = self._database.execute("SELECT name, bundle FROM deleted_key").fetchall()
        self._deleted: dict[str, dict[str, Any]] = {name: json.loads(bundle) for name, bundle in deleted}
        query = "SELECT name, version, private_key, properties FROM key_version ORDER BY sequence"
        with closing(self._database.execute(query)) as rows:
            for name, version, pem, properties in rows:
                record = {"name": name, "version": version, "private_key": pem, **json.loads(properties)}
                self._named(name)[version] = version_of(record)

    def names(self) -> list[str]:
        """Return the names of all keys, in order."""
        return sorted(next(iter(versions.values())).name for versions in self._keys.values())

    def versions(self, name: str) -> list[KeyVersion]:
        """Return all versions of a key, oldest first; none for an unknown key."""
        return list(self._keys.get(name.lower(), {}).values())

    def get(self, name: str, version: str = "") -> KeyVersion:
        """Return one version, the newest for an empty version id, whether it is enabled or not.

        Raises:
            VaultError: 404 KeyNotFound.
        """
        versions = self._keys.get(name.lower(), {})
        found = versions.get(version) if version else next(reversed(versions.values()), None)
        if found is None:
            raise key_not_found(name, version)
        return found

    def add(self, keys: Sequence[KeyVersion]) -> None:
        """Add new versions, oldest first, all or none."""
        self._database.execute("BEGIN IMMEDIATE")
        with self._database:
            for key in keys:
                self._database.execute(
                    "INSERT INTO key_version (name, version, private_key, properties) VALUES (?, ?, ?, ?)",
                    (key.name, key.version, record_of(key)["private_key"], json.dumps(properties_of(key))),
                )
        for key in keys:
            self._named(key.name)[key.version] = key

    def change(self, key: KeyVersion) -> None:
        """Replace a version's attributes, tags and permitted operations."""
        self._database.execute(
            "UPDATE key_version SET properties = ? WHERE name = ? AND version = ?",
            (json.dumps(properties_of(key)), key.name, key.version),
        )
        self._named(key.name)[key.version] = key

    def deleted(self, name: str) -> dict[str, Any] | None:
        """Return the deleted key of this name, as the service answers it, or None."""
        return self._deleted.get(name.lower())

    def delete(self, name: str, bundle: dict[str, Any]) -> None:
        """Delete all versions of a key; its name is taken until it is purged."""
        key = name.lower()
        self._database.execute("BEGIN IMMEDIATE")
        with self._database:
            self._database.execute("INSERT INTO deleted_key (name, bundle) VALUES (?, ?)", (key, json.dumps(bundle)))
            self._database.execute("DELETE FROM key_version WHERE lower(name) = ?", (key,))
        self._deleted[key] = bundle
        del self._keys[key]

    def purge(self, name: str) -> None:
        """Forget a deleted key."""
        self._database.execute("DELETE FROM deleted_key WHERE name = ?", (name.lower(),))
        del self._deleted[name.lower()]

    def _named(self, name: str) -> dict[str, KeyVersion]:
        """Return the versions of a key, whose name ignores case, to read and to add to."""
        return self._keys.setdefault(name.lower(), {})

    def close(self) -> None:
        """Close the database."""
        self._database.close()
