"""The vectors of rows of the dek store, under the provider ``env``, built without the library.

Every vector is one row (or none), one field of a document that names it, and what must come of reading the field.
"""

import base64
import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from tests.vectors.field_vectors import DEK, DEK_ID, OTHER_DEK, VALUE, b64, flipped, stored_field

KEY, OTHER_KEY = bytes(range(200, 232)), bytes(range(1, 33))


def label(key: bytes) -> str:
    """Return the version label of a key in the environment."""
    return "env:" + hmac.digest(key, b"field-encrypt/env-key-label/v1", hashlib.sha256).hex()[:8]


def key_check(dek: bytes) -> str:
    """Return the key check of a DEK in base64."""
    return b64(hmac.digest(dek, b"keyturn/key-check/v1", hashlib.sha256)[:16])


def row(dek: bytes = DEK, key: bytes = KEY) -> dict[str, Any]:
    """Return the row of a DEK as the library writes it."""
    return {
        "id": DEK_ID,
        "wrappedDek": b64(aes_key_wrap(key, dek)),
        "mekName": "env",
        "mekVersion": label(key),
        "algorithm": "A256KW",
        "createdAt": "2026-11-24T12:00:00.000+00:00",
        "keyCheck": key_check(dek),
    }


def vector(name: str, found: dict[str, Any] | None, outcome: str, **more: Any) -> dict[str, Any]:
    """Return one vector; ``more`` adds what the outcome names, or changes the field."""
    stored = stored_field('"A title"', version=label(KEY))
    return {"name": name, "row": found, "stored": stored, "outcome": outcome, **more}


def without(found: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the row without some of its properties."""
    return {name: value for name, value in found.items() if name not in names}


def valid() -> list[dict[str, Any]]:
    """Return the rows that open."""
    good = row()
    previous = {"mekVersion": "env:00000000", "wrappedDek": "AAAA", "algorithm": "A256KW"}
    rows = {
        "as it was written": good,
        "unlabelled: no mekVersion, the document's counts": without(good, "mekVersion"),
        "no mekName: the default's": without(good, "mekName"),
        "no algorithm: the default's": without(good, "algorithm"),
        "no key check": without(good, "keyCheck"),
        "null stands for absent": {**good, "mekVersion": None, "keyCheck": None},
        "rewrapped, and with properties of others": {**good, "previousWrap": previous, "rotationId": "r", "more": 1},
        "createdAt changed: informative": {**good, "createdAt": "never"},
    }
    stale = stored_field('"A title"', version="env:ffffffff")
    return [
        *(vector(name, found, "decrypted", value=VALUE) for name, found in rows.items()),
        vector(
            "the document's mekVersion is not the row's: the row counts", good, "decrypted", value=VALUE, stored=stale
        ),
    ]


def tampered() -> list[dict[str, Any]]:
    """Return the rows that are well-formed and were changed."""
    good, other = row(), row(OTHER_DEK)
    wrap = base64.b64decode(good["wrappedDek"])
    refused = {
        "wrappedDek: first byte flipped": {**good, "wrappedDek": flipped(good["wrappedDek"], 0)},
        "wrappedDek: last byte flipped": {**good, "wrappedDek": flipped(good["wrappedDek"], -1)},
        "wrappedDek: eight bytes cut off": {**good, "wrappedDek": b64(wrap[:-8])},
        "wrappedDek: one byte cut off": {**good, "wrappedDek": b64(wrap[:-1])},
        "wrappedDek: one byte added": {**good, "wrappedDek": b64(wrap + b"\0")},
        "wrappedDek: under another key": {**good, "wrappedDek": row(key=OTHER_KEY)["wrappedDek"]},
        "algorithm: another one": {**good, "algorithm": "RSA-OAEP-256"},
    }
    stale = stored_field('"A title"', version=label(OTHER_KEY))
    short = b64(aes_key_wrap(KEY, DEK[:16]))
    return [
        *(vector(name, found, "unwrap_refused") for name, found in refused.items()),
        vector("wrappedDek: another DEK's", {**good, "wrappedDek": other["wrappedDek"]}, "key_check_mismatch"),
        vector("wrappedDek: a key of 128 bits", {**good, "wrappedDek": short}, "invalid_dek"),
        vector(
            "keyCheck: first byte flipped", {**good, "keyCheck": flipped(good["keyCheck"], 0)}, "key_check_mismatch"
        ),
        vector(
            "keyCheck: last byte flipped", {**good, "keyCheck": flipped(good["keyCheck"], -1)}, "key_check_mismatch"
        ),
        vector("keyCheck: another DEK's", {**good, "keyCheck": other["keyCheck"]}, "key_check_mismatch"),
        vector("all of another DEK's row but its id", other, "tampered_field"),
        vector(
            "another DEK's wrap, and no key check",
            without({**good, "wrappedDek": other["wrappedDek"]}, "keyCheck"),
            "tampered_field",
        ),
        vector("mekName: another MEK", {**good, "mekName": "notes-mek"}, "foreign_mek"),
        vector("mekVersion: another one", {**good, "mekVersion": "env:00000000"}, "version_not_found"),
        vector("the whole row under another key", row(key=OTHER_KEY), "version_not_found"),
        vector(
            "unlabelled, and the document's changed", without(good, "mekVersion"), "version_not_found", stored=stale
        ),
        vector("no row", None, "dek_not_found"),
    ]


def malformed() -> list[dict[str, Any]]:
    """Return the rows that cannot be read."""
    good = row()
    wrong: list[tuple[str, str, Any]] = [
        ("wrappedDek", "null", None),
        ("wrappedDek", "empty", ""),
        ("wrappedDek", "no base64", "not base64!!"),
        ("wrappedDek", "a number", 5),
        ("wrappedDek", "unused bits set", "QR=="),
        ("keyCheck", "15 bytes", b64(bytes(15))),
        ("keyCheck", "32 bytes", b64(bytes(32))),
        ("keyCheck", "empty", ""),
        ("keyCheck", "no base64", "x"),
        ("keyCheck", "a number", 5),
        ("mekName", "empty", ""),
        ("mekName", "a number", 5),
        ("mekVersion", "empty", ""),
        ("mekVersion", "a list", []),
        ("algorithm", "empty", ""),
        ("algorithm", "a number", 5),
    ]
    changed = [
        vector(f"{name}: {what}", {**good, name: value}, "invalid_row", property=name) for name, what, value in wrong
    ]
    return [*changed, vector("wrappedDek: missing", without(good, "wrappedDek"), "invalid_row", property="wrappedDek")]


def row_vectors() -> dict[str, Any]:
    """Return the whole file."""
    return {
        "about": "One row, a field that names it, the FIELD_ENCRYPT_KEY, and what must come of reading. See README.md.",
        "key": b64(KEY),
        "container": "notes",
        "documentId": "note-1",
        "fieldPath": "title",
        "outcomes": [
            "decrypted",
            "dek_not_found",
            "foreign_mek",
            "invalid_dek",
            "invalid_row",
            "key_check_mismatch",
            "tampered_field",
            "unwrap_refused",
            "version_not_found",
        ],
        "vectors": [*valid(), *tampered(), *malformed()],
    }
