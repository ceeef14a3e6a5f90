"""The vectors of format 2, built without the library: HKDF and AES-GCM by their primitives, canonical JSON by hand.

Every vector is one stored field, the place in which it is found, the DEK with which it is read, and what must come of
that. Keys, salts and nonces are fixed, so that the file is the same at every generation.
"""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.field_vectors import (
    CONTAINER,
    DEK,
    DEK_ID,
    DOCUMENT,
    NONCE,
    OTHER_DEK,
    PATH,
    VALUE,
    VALUES,
    b64,
    flipped,
    stored_field,
)

SALT = bytes(range(60, 92))
LABEL = b"field-encrypt/2/A256GCM-HKDF-SHA256\0"
PROPERTIES = ("enc", "alg", "dekId", "mekVersion", "salt", "commit", "iv", "ct", "tag")
BINARY = PROPERTIES[4:]
PARTITION = ["workspace-1"]

# The texts of partition key values, written out by hand: an array of components, {} for what the document lacks.
PARTITIONS: dict[str, tuple[Any, str]] = {
    "text": (["workspace-1"], '["workspace-1"]'),
    "empty text": ([""], '[""]'),
    "text that looks like an array": (['["a"]'], '["[\\"a\\"]"]'),
    "text beyond ASCII": (["größe"], '["größe"]'),
    "number": ([7], "[7]"),
    "number as text": (["7"], '["7"]'),
    "fraction": ([0.5], "[0.5]"),
    "number beyond 2^53": ([9007199254740993], "[9007199254740992]"),
    "true": ([True], "[true]"),
    "one": ([1], "[1]"),
    "null": ([None], "[null]"),
    "null as text": (["null"], '["null"]'),
    "undefined": ([{}], "[{}]"),
    "two levels": (["tenant-1", 7], '["tenant-1",7]'),
    "two levels, the last undefined": (["tenant-1", {}], '["tenant-1",{}]'),
    "three levels": (["a", None, True], '["a",null,true]'),
}


def additional_data(
    partition: str | None, *, path: str = PATH, context: str | None = None, dek_id: str = DEK_ID
) -> str:
    """Return the authenticated text; its names stand in the order of RFC 8785."""
    members = {
        "container": json.dumps(CONTAINER),
        **({} if context is None else {"context": context}),
        "dekId": json.dumps(dek_id),
        "documentId": json.dumps(DOCUMENT),
        "fieldPath": json.dumps(path, ensure_ascii=False),
        **({} if partition is None else {"partitionKey": partition}),
    }
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"


def hkdf(dek: bytes, salt: bytes, info: bytes, length: int = 64) -> bytes:
    """Return so many bytes of HKDF-SHA256, by RFC 5869's own steps."""
    extracted = hmac.digest(salt, dek, hashlib.sha256)
    derived = block = b""
    for number in range(1, length // 32 + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), hashlib.sha256)
        derived += block
    return derived


def sealed_field(plaintext: str, data: str, *, dek: bytes = DEK, dek_id: str = DEK_ID) -> dict[str, Any]:
    """Return the stored form of a field under this authenticated text."""
    derived = hkdf(dek, SALT, LABEL + hashlib.sha256(data.encode()).digest())
    sealed = AESGCM(derived[:32]).encrypt(NONCE, plaintext.encode(), data.encode())
    values = (SALT, derived[32:], NONCE, sealed[:-16], sealed[-16:])
    labels = {"enc": 2, "alg": "A256GCM-HKDF-SHA256", "dekId": dek_id, "mekVersion": "v1"}
    return {**labels, **dict(zip(BINARY, map(b64, values), strict=True))}


GOOD_DATA = additional_data('["workspace-1"]')
GOOD = sealed_field('"A title"', GOOD_DATA)


def vector(name: str, stored: Any, outcome: str, **more: Any) -> dict[str, Any]:
    """Return one vector; ``more`` changes the place or the DEK, or adds what the outcome names; None leaves it out."""
    place = {"container": CONTAINER, "documentId": DOCUMENT, "fieldPath": PATH, "partitionKey": PARTITION}
    whole = {"name": name, **place, "dek": b64(DEK), "stored": stored, "outcome": outcome, **more}
    return {key: value for key, value in whole.items() if key == "value" or value is not None}


def opens(name: str, data: str, **more: Any) -> dict[str, Any]:
    """Return a vector that decrypts under this authenticated text."""
    stored = sealed_field('"A title"', data)
    return vector(name, stored, "decrypted", value=VALUE, additionalData=data, **more)


def valid() -> list[dict[str, Any]]:
    """Return what decrypts."""
    values = [
        vector(f"value: {name}", sealed_field(text, GOOD_DATA), "decrypted", value=value)
        for name, (value, text) in VALUES.items()
    ]
    partitions = [
        opens(f"partition key: {name}", additional_data(text), partitionKey=value)
        for name, (value, text) in PARTITIONS.items()
    ]
    coded = {
        "datetime": '"2026-11-24T12:30:00+00:00"',
        "date": '"2026-11-24"',
        "decimal": '"1.50"',
        "uuid": '"8f14e45f-ceea-467f-a8c9-5b1f0e7d3a21"',
        "bytes": '"/wA="',
        "one-of_the.application2": '{"a":1}',
    }
    values += [
        vector(
            f"codec: {name}",
            sealed_field(f"@{name}:{text}", GOOD_DATA),
            "decrypted",
            codec=name,
            value=json.loads(text),
        )
        for name, text in coded.items()
    ]
    context = additional_data('["workspace-1"]', context='{"a":[1,null],"tenant":"t-1"}')
    return [
        *values,
        *partitions,
        opens("partition key: not stated", additional_data(None), partitionKey=None),
        opens("context: an object", context, context={"tenant": "t-1", "a": [1, None]}),
        opens("context: an empty one is none", GOOD_DATA, context={}),
        opens("path beyond ASCII", additional_data('["workspace-1"]', path="größe/🙂"), fieldPath="größe/🙂"),
        vector("mekVersion changed: informative", {**GOOD, "mekVersion": "v2"}, "decrypted", value=VALUE),
    ]


def crafted() -> dict[str, Any]:
    """Return a field in which the commitment alone is wrong: it is another DEK's."""
    return {**GOOD, "commit": sealed_field('"A title"', GOOD_DATA, dek=OTHER_DEK)["commit"]}


def tampered() -> list[dict[str, Any]]:
    """Return what is well-formed and does not open."""
    first = {f"{name}: first byte flipped": {**GOOD, name: flipped(GOOD[name], 0)} for name in BINARY}
    last = {f"{name}: last byte flipped": {**GOOD, name: flipped(GOOD[name], -1)} for name in BINARY}
    fields = {
        **first,
        **last,
        "ct: one byte cut off": {**GOOD, "ct": b64(base64.b64decode(GOOD["ct"])[:-1])},
        "ct: one byte added": {**GOOD, "ct": b64(base64.b64decode(GOOD["ct"]) + b"\0")},
        "ct: empty": {**GOOD, "ct": ""},
        "commit: another DEK's": crafted(),
        "dekId: another one": {**GOOD, "dekId": "another"},
    }
    partitions = [
        vector(f"partition key: {name} instead", GOOD, "tampered_field", partitionKey=value)
        for name, (value, _) in PARTITIONS.items()
        if value != PARTITION
    ]
    confused: dict[str, Any] = {"one": [True], "true": [1], "null": [{}], "undefined": [None], "number": ["7"]}
    return [
        *(vector(name, stored, "tampered_field") for name, stored in fields.items()),
        vector("container: another", GOOD, "tampered_field", container="archive"),
        vector("document: another", GOOD, "tampered_field", documentId="note-2"),
        vector("field path: another", GOOD, "tampered_field", fieldPath="body"),
        vector("context: one more", GOOD, "tampered_field", context={"tenant": "t-1"}),
        vector("DEK: another one", GOOD, "tampered_field", dek=b64(OTHER_DEK)),
        *partitions,
        *(
            vector(f"partition key: {name}, read as {found}", _under(name), "tampered_field", partitionKey=found)
            for name, found in confused.items()
        ),
        vector("partition key: stated, and read without", GOOD, "tampered_field", partitionKey=None),
        vector(
            "partition key: not stated, and read with one",
            sealed_field('"A title"', additional_data(None)),
            "tampered_field",
        ),
    ]


def _under(partition: str) -> dict[str, Any]:
    return sealed_field('"A title"', additional_data(PARTITIONS[partition][1]))


def malformed() -> list[dict[str, Any]]:
    """Return what is no encrypted field of format 2."""
    wrong: list[tuple[str, str, Any]] = [
        ("enc", "another format", 3),
        ("enc", "the other format's", 1),
        ("alg", "another algorithm", "A256GCM-HKDF-SHA512"),
        ("alg", "null", None),
        ("dekId", "empty", ""),
        ("mekVersion", "a number", 7),
        ("salt", "31 bytes", b64(SALT[:31])),
        ("salt", "empty", ""),
        ("commit", "31 bytes", b64(base64.b64decode(GOOD["commit"])[:31])),
        ("commit", "no base64", "x"),
        ("iv", "16 bytes", b64(NONCE + bytes(4))),
        ("ct", "unused bits set", "QR=="),
        ("tag", "cut to 12 bytes", b64(base64.b64decode(GOOD["tag"])[:12])),
        ("more", "an unknown property", 1),
    ]
    changed = [
        vector(f"{name}: {what}", {**GOOD, name: value}, "invalid_field", property=name) for name, what, value in wrong
    ]
    missing = [
        vector(
            f"{name}: missing", {key: GOOD[key] for key in PROPERTIES if key != name}, "invalid_field", property=name
        )
        for name in PROPERTIES
    ]
    relabelled = {**stored_field('"A title"'), "enc": 2}
    plaintexts = {
        "no JSON": "no JSON",
        "a codec without a value": "@date:",
        "a codec in capitals": "@Date:1",
        "a codec without a name": "@:1",
    }
    return [
        *changed,
        *missing,
        vector("format 1 that says it is 2", relabelled, "invalid_field", property="enc"),
        vector(
            "salt in a field of format 1", {**stored_field("1"), "salt": GOOD["salt"]}, "invalid_field", property="salt"
        ),
        *(
            vector(f"plaintext: {name}", sealed_field(text, GOOD_DATA), "invalid_field", property="ct")
            for name, text in plaintexts.items()
        ),
    ]


def field_vectors_2() -> dict[str, Any]:
    """Return the whole file."""
    return {
        "about": "Format 2: one stored field, its place, the DEK to read it with, and the outcome. See README.md.",
        "outcomes": ["decrypted", "invalid_field", "tampered_field"],
        "vectors": [*valid(), *tampered(), *malformed()],
    }
