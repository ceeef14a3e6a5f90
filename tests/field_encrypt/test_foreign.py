"""Values that another system has encrypted are told from plaintext, and are not encrypted a second time."""

import base64
import json
import os
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from field_encrypt import EncryptedContainer, FieldPolicy, looks_encrypted
from field_encrypt.errors import LooksEncryptedError
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_keyring import LocalKeyring


def b64(length: int) -> str:
    """Return random bytes in base64."""
    return base64.b64encode(os.urandom(length)).decode()


def jwe(header: dict[str, Any]) -> str:
    """Return a compact text of five parts with this header."""
    parts = [json.dumps(header).encode(), os.urandom(256), os.urandom(12), os.urandom(40), os.urandom(16)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


FOREIGN: dict[str, Any] = {
    "HashiCorp Vault": f"vault:v1:{b64(40)}",
    "HashiCorp Vault, a later key version": f"vault:v12:{b64(40)}",
    "AWS KMS": "AQICAH" + b64(160),
    "AWS Encryption SDK": "AgV4" + b64(300),
    "Fernet": Fernet(Fernet.generate_key()).encrypt(b"a value").decode(),
    "enc:": f"enc:{b64(32)}",
    "enc: with a version and a key": f"enc:v2:key-1:{b64(32)}",
    "JWE": jwe({"alg": "RSA-OAEP-256", "enc": "A256GCM"}),
    "SOPS": f"ENC[AES256_GCM,data:{b64(8)},iv:{b64(12)},tag:{b64(16)},type:str]",
    "Spring Cloud Config": "{cipher}" + os.urandom(32).hex(),
    "Jasypt": f"ENC({b64(40)})",
    "a line break behind it": f"vault:v1:{b64(40)}\n",
    "Ruby on Rails": json.dumps({"p": b64(20), "h": {"iv": b64(12), "at": b64(16)}}),
    "OpenSSL": "U2FsdGVkX1" + b64(30),
    "age": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----",
    "an object": {"dekId": "k-1", "iv": b64(12), "ciphertext": b64(20), "tag": b64(16)},
    "other names": {"key_id": "k", "nonce": os.urandom(12).hex(), "cipher_text": os.urandom(20).hex(), "mac": "00ff"},
    "short names": {"iv": b64(12), "ct": b64(20)},
    "a key and a ciphertext": {"wrappedKey": b64(256), "encryptedData": b64(20)},
    "ciphertext and tag": {"ciphertext": b64(20), "authTag": b64(16)},
    "JWE in JSON": {
        "protected": b64(20),
        "encrypted_key": b64(256),
        "iv": b64(12),
        "ciphertext": b64(9),
        "tag": b64(16),
    },
    "nonce and tag, the ciphertext under a name of its own": {
        "v": 1,
        "iv": os.urandom(12).hex(),
        "data": os.urandom(9).hex(),
        "tag": os.urandom(16).hex(),
    },
    "nonce and tag in base64": {"nonce": b64(24), "box": b64(9), "mac": b64(16)},
    "nonce and content": {"iv": os.urandom(16).hex(), "content": os.urandom(9).hex()},
    "nonce and tag as Buffers": {name: {"type": "Buffer", "data": [7] * n} for name, n in (("iv", 12), ("tag", 16))},
    "lists of bytes": {"iv": [1, 2, 255], "ciphertext": [0, 7]},
    "Buffers of Node.js": {"iv": {"type": "Buffer", "data": [1]}, "ciphertext": {"type": "Buffer", "data": [2]}},
    "MongoDB": {"$binary": {"base64": b64(60), "subType": "06"}},
    "nonce, tag and ciphertext in one text": f"{os.urandom(12).hex()}:{os.urandom(16).hex()}:{os.urandom(9).hex()}",
    "the key's id before them": f"k-1:{b64(12)}:{b64(20)}:{b64(16)}",
    "an object inside a text": json.dumps([{"a": {"iv": b64(12), "ciphertext": b64(20)}}]),
    "Laravel": base64.b64encode(
        json.dumps({"iv": b64(16), "value": b64(32), "mac": os.urandom(32).hex(), "tag": ""}).encode()
    ).decode(),
    "an object as a text": json.dumps({"iv": b64(12), "ciphertext": b64(20), "tag": b64(16)}),
    "deep inside": {"a": [{"b": f"vault:v1:{b64(40)}"}]},
}
PLAIN: list[Any] = [
    "enc: please see the annex",
    "enc:",
    "vault:v1:",
    "vault:v1: is what a ciphertext of the transit engine begins with",
    "AQICAH",
    f"vault:v1:{b64(40)} is a ciphertext",
    "gAAAAA",
    b64(300).replace("A", "B"),
    jwe({"alg": "none"}),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",  # a JWT: signed, and readable by everybody
    {"ct": "CT scan", "tag": "radiology"},
    {"tag": "news", "nonce": "5"},
    {"iv": os.urandom(16).hex(), "content": "the fourth chapter"},
    {"iv": "four", "content": "0011"},
    {"nonce": "0x1", "data": "0x00", "value": "1", "mac": "00:1b:44:11:3a:b7"},
    {"nonce": os.urandom(12).hex(), "data": "00ff"},
    {"ciphertext": "to be decrypted by the reader", "iv": ""},
    {"kid": "k-1", "alg": "RS256"},
    {"type": "Buffer", "data": [1, 2]},
    "{not json",
    "ENC(see the annex)",
    {"p": "a paragraph", "h": {"iv": "four", "at": "home"}},
    "[" * 5_000 + "]" * 5_000,
    "2001:db8:85a3:0:0:8a2e:370:7334",
    f"{os.urandom(16).hex()}:{os.urandom(16).hex()}",
    "arn:aws:kms:eu-west-1:111122223333:key",
    "chapter-one-text:chapter-two-of-the-book:three",
    base64.b64encode(b'{"iv": "four", "value": 1}').decode(),
    "{}",
    ["a", 1, None, True, 1.5],
    "",
]


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_ciphertext_is_recognised(case: str) -> None:
    """Objects and texts in the forms of other systems are recognised, wherever they stand in a value."""
    assert looks_encrypted(FOREIGN[case]) is not None
    assert looks_encrypted({"list": [FOREIGN[case]]}) == looks_encrypted(FOREIGN[case])


@pytest.mark.parametrize("number", range(len(PLAIN)))  # by number: some are random, and workers must agree on names
def test_plaintext_is_left_alone(number: int) -> None:
    """What only begins like a ciphertext, or shares a property's name with one, is plaintext."""
    assert looks_encrypted(PLAIN[number]) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    )
)
def test_no_ordinary_value_looks_encrypted(value: Any) -> None:
    """Values at random are never taken for a ciphertext; their text is neither."""
    assert looks_encrypted(value) is None
    assert looks_encrypted(json.dumps(value)) is None


@given(st.binary(max_size=200))
def test_every_fernet_token_is_recognised(plaintext: bytes) -> None:
    """Whatever was encrypted, and however long it was."""
    assert looks_encrypted(Fernet(Fernet.generate_key()).encrypt(plaintext).decode()) == "Fernet (gAAAAA)"


@given(st.sampled_from(sorted(FOREIGN)), st.lists(st.sampled_from(["list", "name"]), max_size=5))
def test_it_is_recognised_at_every_depth(case: str, around: list[str]) -> None:
    """However deep inside a value the ciphertext stands."""
    value = FOREIGN[case]
    for kind in around:
        value = [None, value] if kind == "list" else {"title": "t", "inner": value}

    assert looks_encrypted(value) == looks_encrypted(FOREIGN[case])


@pytest.mark.parametrize("case", FOREIGN)
async def test_it_is_not_encrypted_a_second_time(local_keyring: LocalKeyring, case: str) -> None:
    """The error names the field and what its value looks like, not the value; no row is made."""
    note = {"id": "note-1", "title": "t", "author": {"name": FOREIGN[case]}}

    with pytest.raises(LooksEncryptedError) as raised:
        await local_keyring.encryption.encrypt_fields("notes", "note-1", note, ["title", "author/name"])

    assert (raised.value.field_path, raised.value.looks_like) == ("author/name", looks_encrypted(FOREIGN[case]))
    assert await local_keyring.dek_ids() == set()
    assert json.dumps(FOREIGN[case])[8:40] not in str(raised.value)


async def test_a_caller_may_say_that_it_is_plaintext(local_keyring: LocalKeyring) -> None:
    """A field whose plaintext is a token of another system is encrypted like any other, and no other field is."""
    note = {"id": "note-1", "tokens": [{"jwe": FOREIGN["JWE"]}], "title": "t"}
    encryption, fields, token = local_keyring.encryption, ["title", "tokens/*/jwe"], ["tokens/*/jwe"]

    stored = await encryption.encrypt_fields("notes", "note-1", note, fields, may_look_encrypted=token)
    (many,) = await encryption.encrypt_documents("notes", [note], fields, may_look_encrypted=token)

    assert await encryption.decrypt_fields("notes", "note-1", stored, fields) == note
    assert await encryption.decrypt_fields("notes", "note-1", many, fields) == note
    with pytest.raises(LooksEncryptedError, match="title"):
        await encryption.encrypt_fields(
            "notes", "note-1", {**note, "title": FOREIGN["Fernet"]}, fields, may_look_encrypted=token
        )


async def test_a_container_keeps_to_its_policy(local_keyring: LocalKeyring, cosmos_client: Any) -> None:
    """Saves and patches are refused, and taken where the policy names the field."""
    container = await new_container(cosmos_client, "notes")
    policy = FieldPolicy(container.id, ["title", "token"], may_look_encrypted=["token"])
    notes = EncryptedContainer(container, local_keyring.encryption, policy)
    note = {"id": "note-1", "title": "t", "token": FOREIGN["JWE"]}

    await notes.create_item(note)

    assert (await notes.read_item("note-1", "note-1"))["token"] == FOREIGN["JWE"]
    with pytest.raises(LooksEncryptedError, match="title"):
        await notes.upsert_item({**note, "title": FOREIGN["AWS KMS"]})
    with pytest.raises(LooksEncryptedError, match="title"):
        await notes.patch_item("note-1", "note-1", [{"op": "set", "path": "/title", "value": FOREIGN["enc:"]}])
    await notes.patch_item("note-1", "note-1", [{"op": "set", "path": "/token", "value": FOREIGN["enc:"]}])
    assert (await notes.read_item("note-1", "note-1"))["token"] == FOREIGN["enc:"]
