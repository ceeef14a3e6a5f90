"""Recognises values that another system has encrypted, so that they are not encrypted a second time by mistake.

Encrypted twice, a value decrypts to an unexpected ciphertext, and often long after the key of the
first encryption is gone. What is recognised has the shape of a ciphertext, not only its prefix: a text about ``enc:``
is a text. The shapes are from the systems' own documentation, named beside each.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Final

_BASE64: Final = "[A-Za-z0-9+/]"
_TEXTS: Final = {
    "HashiCorp Vault (vault:v1:)": rf"vault:v\d+:{_BASE64}{{16,}}={{0,2}}",  # transit secrets engine
    # A ciphertext of a symmetric key is at least 150 bytes; an SDK message names its version and algorithm first.
    "AWS KMS (AQICAH)": rf"AQICAH{_BASE64}{{60,}}={{0,2}}",
    "AWS Encryption SDK": rf"(?:AYADeA|AgV4){_BASE64}{{60,}}={{0,2}}",
    "Fernet (gAAAAA)": r"gAAAAA[A-Za-z0-9_-]{92,}={0,2}",  # github.com/fernet/spec: 100 characters at least
    "a text that begins with enc:": r"enc:[A-Za-z0-9+/_=:.$-]{16,}",
    "SOPS or eyaml (ENC[...])": r"ENC\[[A-Z0-9_]+,[^\s].*\]",
    "Jasypt (ENC(...))": rf"ENC\({_BASE64}{{22,}}={{0,2}}\)",  # salt and one block at least
    "Spring Cloud Config ({cipher})": r"\{cipher\}[A-Za-z0-9+/=]{16,}",
    "OpenSSL (Salted__)": r"U2FsdGVkX1[A-Za-z0-9+/=\s]{10,}",
    "Ansible Vault": r"\$ANSIBLE_VAULT;\d.*",
    "OpenPGP": r"-----BEGIN PGP MESSAGE-----.*",
    "age": r"-----BEGIN AGE ENCRYPTED FILE-----.*",
}
_COMPILED: Final = {name: re.compile(pattern, re.DOTALL) for name, pattern in _TEXTS.items()}
_JWE: Final = re.compile(r"(eyJ[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
JWE: Final = "JWE"  # RFC 7516
# Nonce, ciphertext and tag, in any order and maybe with the key's id, joined as applications do that have no format.
_JOINED: Final = re.compile(r"[A-Za-z0-9+/=_.-]+(?:[:|$][A-Za-z0-9+/=_.-]+){2,3}")
_NONCE_TEXT: Final = re.compile(r"[0-9a-fA-F]{24}|[0-9a-fA-F]{32}|[A-Za-z0-9+/_-]{16}|[A-Za-z0-9+/_-]{22}==")
_TAG_TEXT: Final = re.compile(r"[0-9a-fA-F]{32}|[A-Za-z0-9+/_-]{22}==")  # a word of the language has no padding
JOINED: Final = "a nonce, a ciphertext and a tag in one text"

# Names of an object's properties, in lower case and without separators.
_CIPHERTEXT: Final = frozenset({"ciphertext", "encrypteddata", "encryptedvalue"})
_SHORT: Final = frozenset({"ct"})  # a ciphertext beside a nonce or a key; alone with a tag it may be anything
_NONCE: Final = frozenset({"iv", "nonce", "initializationvector"})
_KEY: Final = frozenset({"dekid", "wrappeddek", "wrappedkey", "encryptedkey", "encrypteddek", "encrypteddatakey"})
_TAG: Final = frozenset({"tag", "authtag", "mac"})
_BODY: Final = _CIPHERTEXT | {"content", "data", "encrypted", "payload", "value"}  # beside an ``iv`` of its length
_NONCE_BYTES: Final = {12, 16, 24}  # of GCM and ChaCha20, of CBC and CTR, of XChaCha20
_TAG_BYTES: Final = 16
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_=.:-]+")
_BYTE: Final = range(256)
OBJECT: Final = "an object with the parts of a ciphertext"


def looks_encrypted(value: object) -> str | None:
    """Return what the value, or anything in it, looks like if another system has encrypted it; else None.

    This library's own fields look so too.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return _object(value) or _first(value.values())
    if isinstance(value, list | tuple):
        return _first(value)
    return None


def _first(values: Iterable[object]) -> str | None:
    return next((found for found in map(looks_encrypted, values) if found), None)


def _text(text: str) -> str | None:
    text = text.strip()  # a line break behind it is no part of it, and often there
    found = next((name for name, pattern in _COMPILED.items() if pattern.fullmatch(text)), None)
    if found is not None:
        return found
    if (compact := _JWE.fullmatch(text)) is not None and _is_jwe_header(compact[1]):
        return JWE
    if _JOINED.fullmatch(text) and _is_joined(re.split(r"[:|$]", text)):
        return JOINED
    if text.startswith("eyJ"):  # base64 of a JSON object, as PHP's frameworks write it
        text = _decoded(text)
    try:
        return looks_encrypted(_parsed(text)) if text.lstrip().startswith(("{", "[")) else None
    except RecursionError:
        return None  # a text, whatever is nested in it


def _is_joined(parts: list[str]) -> bool:
    return any(
        _TAG_TEXT.fullmatch(tag) and any(_NONCE_TEXT.fullmatch(part) for part in parts[:at] + parts[at + 1 :])
        for at, tag in enumerate(parts)
    )


def _decoded(encoded: str) -> str:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _is_jwe_header(encoded: str) -> bool:
    header = _parsed(_decoded(encoded))
    return isinstance(header, dict) and {"alg", "enc"} <= header.keys()


def _parsed(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed


def _object(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("$binary"), dict) and value["$binary"].get("subType") in ("06", "6"):
        return "MongoDB field-level encryption"
    headers = value.get("h")  # guides.rubyonrails.org/active_record_encryption.html
    if "p" in value and isinstance(headers, dict) and _lengths(headers.get("iv")) & _NONCE_BYTES and "at" in headers:
        return "Active Record encryption (p, h)"
    found = {re.sub(r"[_-]", "", str(name)).lower(): part for name, part in value.items() if _is_binary(part)}
    names = found.keys()
    parts = [bool(names & group) for group in (_CIPHERTEXT | _SHORT, _NONCE, _KEY)]
    if sum(parts) > 1 or (names & _CIPHERTEXT and names & _TAG):
        return OBJECT
    # The ciphertext may have any name: what stands around it is known by its length.
    nonces = {name for name in names & _NONCE if _lengths(found[name]) & _NONCE_BYTES}
    tags = {name for name in names & _TAG if _TAG_BYTES in _lengths(found[name])}
    return OBJECT if nonces and (tags or ("nonce" not in nonces and names & _BODY)) else None


def _lengths(part: object) -> set[int]:
    """Return how many bytes a binary property may have: a text may be hexadecimal or base64."""
    data = part.get("data") if isinstance(part, dict) else part
    if isinstance(data, str):
        return {len(data.rstrip("=")) * 3 // 4} | ({len(data) // 2} if _HEX.fullmatch(data) else set())
    return {len(data)} if isinstance(data, list) else set()


def _is_binary(part: object) -> bool:
    """Tell whether a property may hold bytes or name a key: an encoded text, a list of bytes, a Buffer of Node.js."""
    if isinstance(part, str):
        return _ENCODED.fullmatch(part) is not None
    if isinstance(part, dict):
        return part.get("type") == "Buffer" or "$binary" in part
    return isinstance(part, list) and bool(part) and all(type(byte) is int and byte in _BYTE for byte in part)
