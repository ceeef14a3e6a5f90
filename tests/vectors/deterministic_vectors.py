"""The vectors of deterministic fields, built without the library: AES-SIV by CMAC and CTR."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.cmac import CMAC

from tests.vectors.field_vectors import CONTAINER, DEK, DEK_ID, OTHER_DEK, PATH, VALUE, b64, flipped
from tests.vectors.field_vectors_2 import GOOD, hkdf, vector

DETERMINISTIC_DATA = json.dumps({"container": CONTAINER, "dekId": DEK_ID, "fieldPath": PATH}, separators=(",", ":"))


def siv(keys: bytes, data: bytes, plaintext: bytes) -> bytes:
    """Return AES-SIV (RFC 5297) of a plaintext, by CMAC and CTR."""
    mask = (1 << 128) - 1

    def mac(message: bytes) -> int:
        cmac = CMAC(AES256(keys[:32]))
        cmac.update(message)
        return int.from_bytes(cmac.finalize())

    def doubled(block: int) -> int:
        return (block << 1 & mask) ^ (0x87 if block >> 127 else 0)

    chained = doubled(mac(bytes(16))) ^ mac(data)
    if len(plaintext) >= 16:
        tail = int.from_bytes(plaintext[-16:]) ^ chained
        vector = mac(plaintext[:-16] + tail.to_bytes(16)).to_bytes(16)
    else:
        padded = plaintext + b"\x80" + bytes(15 - len(plaintext))
        vector = mac((doubled(chained) ^ int.from_bytes(padded)).to_bytes(16)).to_bytes(16)
    counter = int.from_bytes(vector) & ~(1 << 63 | 1 << 31)
    return vector + Cipher(AES256(keys[32:]), CTR(counter.to_bytes(16))).encryptor().update(plaintext)


def deterministic_field(plaintext: str, data: str = DETERMINISTIC_DATA, *, dek: bytes = DEK) -> dict[str, Any]:
    """Return the stored form of a deterministic field."""
    label = b"field-encrypt/2/A256SIV-HKDF-SHA256\0"
    derived = hkdf(dek, bytes(32), label + hashlib.sha256(data.encode()).digest(), 96)
    sealed = siv(derived[:64], data.encode(), plaintext.encode())
    labels = {"enc": 2, "alg": "A256SIV-HKDF-SHA256", "dekId": DEK_ID, "mekVersion": "v1"}
    return {**labels, "commit": b64(derived[64:]), "ct": b64(sealed)}


def deterministic() -> list[dict[str, Any]]:
    """Return deterministic fields: bound to container, field path and context, and to no document."""
    good, long = deterministic_field('"A title"'), '"A title of more than one block, as most are"'
    in_context = DETERMINISTIC_DATA.replace('"dekId"', '"context":{"tenant":"t-1"},"dekId"')
    opening = {
        "value": vector("deterministic: a value", good, "decrypted", value=VALUE),
        "blocks": vector("deterministic: blocks", deterministic_field(long), "decrypted", value=json.loads(long)),
        "sixteen": vector(
            "deterministic: one block", deterministic_field('"' + 14 * "x" + '"'), "decrypted", value="x" * 14
        ),
        "codec": vector(
            "deterministic: a codec",
            deterministic_field('@date:"2026-11-24"'),
            "decrypted",
            codec="date",
            value="2026-11-24",
        ),
        "document": vector("deterministic: another document", good, "decrypted", documentId="note-2", value=VALUE),
        "partition": vector("deterministic: another partition", good, "decrypted", partitionKey=["w-2"], value=VALUE),
        "context": vector(
            "deterministic: in a context",
            deterministic_field('"A title"', in_context),
            "decrypted",
            context={"tenant": "t-1"},
            value=VALUE,
        ),
    }
    short = {**good, "ct": b64(base64.b64decode(good["ct"])[:15])}
    changed = {
        **{f"{name}: first byte flipped": {**good, name: flipped(good[name], 0)} for name in ("commit", "ct")},
        **{f"{name}: last byte flipped": {**good, name: flipped(good[name], -1)} for name in ("commit", "ct")},
        "commit: another DEK's": {**good, "commit": deterministic_field("1", dek=OTHER_DEK)["commit"]},
        "ct: shorter than its vector": short,
        "ct: empty": {**good, "ct": ""},
        "dekId: another one": {**good, "dekId": "another"},
    }
    refused = [vector(f"deterministic: {name}", stored, "tampered_field") for name, stored in changed.items()]
    moved = {"container": "archive", "fieldPath": "body", "context": {"tenant": "t-1"}, "dek": b64(OTHER_DEK)}
    refused += [
        vector(f"deterministic: another {name}", good, "tampered_field", **{name: value})
        for name, value in moved.items()
    ]
    malformed_ones = [
        vector("deterministic: with a nonce", {**good, "iv": GOOD["iv"]}, "invalid_field", property="iv"),
        vector("deterministic: says format 1", {**good, "enc": 1}, "invalid_field", property="enc"),
        vector("deterministic: of a randomized field", {**GOOD, "alg": good["alg"]}, "invalid_field", property="salt"),
    ]
    return [*opening.values(), *refused, *malformed_ones]
