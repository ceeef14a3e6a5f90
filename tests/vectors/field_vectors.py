"""The vectors of one encrypted field, built without the library: a second reading of the format.

Every vector is one stored field, the place in which it is found, the DEK with which it is read, and what must come of
that. Keys and nonces are fixed, so that the file is the same at every generation.
"""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DEK, OTHER_DEK = bytes(range(32)), bytes(range(32, 64))
NONCE = bytes(range(100, 112))
CONTAINER, DOCUMENT, PATH, DEK_ID = "notes", "note-1", "title", "8f14e45f-ceea-467f-a8c9-5b1f0e7d3a21"
VALUE = "A title"
PROPERTIES = ("enc", "alg", "dekId", "mekVersion", "iv", "ct", "tag")

# Values and their canonical JSON (RFC 8785), written out by hand.
VALUES: dict[str, tuple[Any, str]] = {
    "text": (VALUE, '"A title"'),
    "empty text": ("", '""'),
    "text with escapes and beyond ASCII": ('a"\\\n€🙂', '"a\\"\\\\\\n€🙂"'),
    "null": (None, "null"),
    "true": (True, "true"),
    "integer": (9007199254740991, "9007199254740991"),
    "negative integer": (-1, "-1"),
    "fraction": (0.1, "0.1"),
    "large number": (1e21, "1e+21"),
    "empty list": ([], "[]"),
    "list": ([1, None, "x"], '[1,null,"x"]'),
    "empty object": ({}, "{}"),
    "object, its names sorted": ({"b": 1, "a": {"é": [], "A": 2}}, '{"a":{"A":2,"é":[]},"b":1}'),
}
PLACES = {
    "nested path": "author/name",
    "path into a list": "attachments/2/text",
    "path with an escaped slash and tilde": "a~1b/c~0d",
    "path beyond ASCII": "größe/🙂",
}


def b64(raw: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(raw).decode()


def flipped(text: str, position: int) -> str:
    """Return base64 with the lowest bit of one byte flipped."""
    raw = bytearray(base64.b64decode(text))
    raw[position] ^= 1
    return b64(bytes(raw))


def additional_data(container: str, document_id: str, path: str, dek_id: str) -> str:
    """Return the text that is authenticated beside the ciphertext; these names stand in the order of RFC 8785."""
    parts = {"container": container, "dekId": dek_id, "documentId": document_id, "fieldPath": path}
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def stored_field(
    plaintext: str, *, dek: bytes = DEK, path: str = PATH, dek_id: str = DEK_ID, version: str = "v1"
) -> dict[str, Any]:
    """Return the stored form of a field in the example document."""
    data = additional_data(CONTAINER, DOCUMENT, path, dek_id)
    sealed = AESGCM(dek).encrypt(NONCE, plaintext.encode(), data.encode())
    values = (1, "A256GCM", dek_id, version, b64(NONCE), b64(sealed[:-16]), b64(sealed[-16:]))
    return dict(zip(PROPERTIES, values, strict=True))


def vector(name: str, stored: Any, outcome: str, **more: Any) -> dict[str, Any]:
    """Return one vector; ``more`` changes the place or the DEK, or adds what the outcome names."""
    place = {"container": CONTAINER, "documentId": DOCUMENT, "fieldPath": PATH, "dek": b64(DEK)}
    return {"name": name, **place, "stored": stored, "outcome": outcome, **more}


def valid() -> list[dict[str, Any]]:
    """Return what decrypts."""
    values = [
        vector(f"value: {name}", stored_field(text), "decrypted", value=value) for name, (value, text) in VALUES.items()
    ]
    places = [
        vector(
            f"place: {name}",
            stored_field('"A title"', path=path),
            "decrypted",
            fieldPath=path,
            value=VALUE,
            additionalData=additional_data(CONTAINER, DOCUMENT, path, DEK_ID),
        )
        for name, path in {"plain path": PATH, **PLACES}.items()
    ]
    informative = vector(
        "mekVersion changed: informative, not authenticated",
        stored_field('"A title"', version="v2"),
        "decrypted",
        value=VALUE,
    )
    return [*values, *places, informative]


def tampered() -> list[dict[str, Any]]:
    """Return what is well-formed and does not authenticate."""
    good, body = stored_field('"A title"'), stored_field('"A body"', path="body")
    fields = {
        **{f"{name}: first byte flipped": {**good, name: flipped(good[name], 0)} for name in ("iv", "ct", "tag")},
        **{f"{name}: last byte flipped": {**good, name: flipped(good[name], -1)} for name in ("iv", "ct", "tag")},
        "ct: one byte cut off": {**good, "ct": b64(base64.b64decode(good["ct"])[:-1])},
        "ct: one byte added": {**good, "ct": b64(base64.b64decode(good["ct"]) + b"\0")},
        "ct: empty": {**good, "ct": ""},
        "ct and tag of another field": {**good, "ct": body["ct"], "tag": body["tag"]},
        "whole field of another place": body,
        "dekId: another one": {**good, "dekId": "another"},
    }
    changed = [vector(name, stored, "tampered_field") for name, stored in fields.items()]
    moved = [
        vector("AAD: another container", good, "tampered_field", container="archive"),
        vector("AAD: another document", good, "tampered_field", documentId="note-2"),
        vector("AAD: another field path", good, "tampered_field", fieldPath="body"),
        vector("AAD: another element of a list", stored_field("1", path="a/0"), "tampered_field", fieldPath="a/1"),
        vector("DEK: another one", good, "tampered_field", dek=b64(OTHER_DEK)),
    ]
    return [*changed, *moved]


def malformed() -> list[dict[str, Any]]:
    """Return what is no encrypted field."""
    good = stored_field('"A title"')
    tag, nonce = base64.b64decode(good["tag"]), base64.b64decode(good["iv"])
    wrong: list[tuple[str, str, Any]] = [
        ("enc", "another format", 2),
        ("enc", "true instead of 1", True),
        ("enc", "text instead of 1", "1"),
        ("alg", "another algorithm", "A128GCM"),
        ("alg", "null", None),
        ("dekId", "empty", ""),
        ("dekId", "a number", 7),
        ("mekVersion", "empty", ""),
        ("mekVersion", "null", None),
        ("iv", "11 bytes", b64(nonce[:11])),
        ("iv", "16 bytes", b64(nonce + bytes(4))),
        ("iv", "no base64", "not base64!!"),
        ("ct", "no base64", "x"),
        ("ct", "null", None),
        ("ct", "unused bits set", "QR=="),
        ("ct", "a line break inside", good["ct"][:4] + "\n" + good["ct"][4:]),
        ("tag", "cut to 12 bytes", b64(tag[:12])),
        ("tag", "empty", ""),
        ("tag", "URL-safe alphabet", "_" * 21 + "w=="),
        ("tag", "without padding", good["tag"].rstrip("=")),
        ("more", "an unknown property", 1),
    ]
    changed = [
        vector(f"{name}: {what}", {**good, name: value}, "invalid_field", property=name) for name, what, value in wrong
    ]
    missing = [
        vector(
            f"{name}: missing", {key: good[key] for key in PROPERTIES if key != name}, "invalid_field", property=name
        )
        for name in PROPERTIES
    ]
    values: tuple[Any, ...] = ("A title", None, [], 5)
    plain = [vector(f"plaintext: {value!r}", value, "invalid_field", property="enc") for value in values]
    return [*changed, *missing, *plain]


def field_vectors() -> dict[str, Any]:
    """Return the whole file."""
    return {
        "about": "One stored field, its place, the DEK to read it with, and what must come of it. See README.md.",
        "outcomes": ["decrypted", "invalid_field", "tampered_field"],
        "vectors": [*valid(), *tampered(), *malformed()],
    }
